"""Sends messages."""

import logging
import os
import threading
import weakref
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import cast

from rmq import _config, _dispatch, _rmq
from rmq._config import ConfigValue
from rmq._handles import Handle, SyncHandle
from rmq._rmq import (
    Message,
    MessageQueue,
    ReceivedMessage,
    SendResult,
    SendStatus,
    TransactionCheck,
    TransactionState,
)

Checker = Callable[[ReceivedMessage], TransactionState]
_FOREVER_S = 3600.0
_logger = logging.getLogger("rmq")


@dataclass(frozen=True)
class TransactionResult:
    """What became of a half message, and of its transaction."""

    sent: SendResult
    state: TransactionState


def answer_check(checker: Checker, check: TransactionCheck) -> None:
    """Has a checker answer a broker's question; one that raises does not know yet."""
    state = TransactionState.UNKNOWN
    try:
        state = checker(check.message)
    except Exception:
        _logger.exception("the checker of a transaction raised; the broker asks again")
    check.answer(state)


def _check_all(checks: _rmq.Completions, checker: Checker) -> None:
    while (taken := checks.wait(_FOREVER_S)) is not None:
        for _, _, check in taken:
            answer_check(checker, check)


class ProducerView(Handle["_rmq.NativeProducer"]):
    """What can be done with a producer without waiting."""

    _what = "producer"

    @property
    def client_id(self) -> str:
        """The id that brokers know this producer by."""
        return self._native.client_id

    def send_oneway(
        self,
        message: Message,
        *,
        queue: MessageQueue | None = None,
        sharding_key: str | None = None,
    ) -> None:
        """Sends a message that nobody acknowledges: it may be lost without notice."""
        self._native.send_oneway(message, queue, sharding_key)


class Producer(SyncHandle["_rmq.NativeProducer"], ProducerView):
    """Sends messages to a cluster. Any thread may use it.

    Args:
        group: The producer group.
        namesrv: The nameservers: ``host:port``, several separated by ``;``.
        checker: Says how the transaction of a half message ended, when a broker asks; called on a
            thread of this producer. What it raises is logged, and the broker asks again.
        send_timeout: How long a send may take in seconds, where a call says nothing else.
        max_in_flight: Asynchronous sends under way at a time; one more is a `BusyError`.
        config: Keys of Apache's Java client with their values.
        config_file: A file in the format of Java's properties; other arguments win over it.
        **options: Any other key, in Python's spelling: ``retry_times_when_send_failed=0``.

    Every send raises `InvalidError` for a message that no broker would take, `TopicNotFoundError`,
    `UnreachableError` or `Timeout` when no broker acknowledged it in time (it may be stored all the
    same), `BrokerError` when one refused it, `ClosedError`, and `ForkedError`.
    """

    def __init__(
        self,
        group: str = "DEFAULT_PRODUCER",
        namesrv: str | None = None,
        *,
        checker: Checker | None = None,
        send_timeout: float | None = None,
        max_in_flight: int | None = None,
        config: Mapping[str, ConfigValue] | None = None,
        config_file: str | os.PathLike[str] | None = None,
        **options: ConfigValue,
    ) -> None:
        super().__init__()
        keys = producer_keys(group, namesrv, send_timeout, max_in_flight, config, options)
        file = _config.path_of(config_file)
        checks = _rmq.Completions() if checker is not None else None
        self._checks = checks
        self._opened(_rmq.NativeProducer.start(keys, file, checks))
        if checker is not None and checks is not None:
            thread = threading.Thread(
                target=_check_all, args=(checks, checker), name="rmq-checker", daemon=True
            )
            thread.start()
            # Also when nobody closes the producer.
            weakref.finalize(self, checks.close)

    def send(
        self,
        message: Message,
        *,
        queue: MessageQueue | None = None,
        sharding_key: str | None = None,
        timeout: float | None = None,
    ) -> SendResult:
        """Sends a message and waits until it is acknowledged.

        Args:
            message: The message.
            queue: The queue it goes to; else one after the other.
            sharding_key: All messages of a key go to one queue, in order, while the topic keeps
                its queues. Wins over that of the message.
            timeout: How long it may take in seconds.
        """
        sent = self._native.send(message, queue, sharding_key, timeout)
        return cast(SendResult, sent)

    def send_async(
        self,
        message: Message,
        *,
        queue: MessageQueue | None = None,
        sharding_key: str | None = None,
        timeout: float | None = None,
    ) -> "Future[SendResult]":
        """Sends a message without waiting; a future has what becomes of it.

        The futures of the process are completed on one thread, which their callbacks run on. What
        is wrong with the message is raised at once, as is `BusyError` when `max_in_flight` sends
        are under way.
        """
        native = self._native

        def begin(ticket: _rmq.Ticket) -> None:
            native.send(message, queue, sharding_key, timeout, ticket)

        return _dispatch.begin(begin)

    def send_batch(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> SendResult:
        """Sends messages of one topic as one request: all are stored, or none."""
        sent = self._native.send_batch(list(messages), timeout)
        return cast(SendResult, sent)

    def send_batch_async(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> "Future[SendResult]":
        """`send_batch` without waiting."""
        native, batch = self._native, list(messages)
        return _dispatch.begin(lambda ticket: native.send_batch(batch, timeout, ticket))

    def send_in_transaction(
        self,
        message: Message,
        execute: Callable[[SendResult], TransactionState],
        *,
        queue: MessageQueue | None = None,
        sharding_key: str | None = None,
        timeout: float | None = None,
    ) -> TransactionResult:
        """Sends a half message, calls `execute`, and tells the broker what it answered.

        The message is delivered if that is COMMIT, and never if it is ROLLBACK. If it is UNKNOWN,
        or does not reach the broker, the broker asks the checker of a producer of the group. The
        same goes for `execute` raising, which is passed on. A message that was stored less safely
        than asked for is rolled back without calling `execute`.
        """
        native = self._native
        half = native.send_half(message, queue, sharding_key, timeout)
        sent = cast(SendResult, half)
        state = TransactionState.UNKNOWN
        try:
            if sent.status == SendStatus.OK:
                state = execute(sent)
            else:
                state = TransactionState.ROLLBACK
        finally:
            native.end_transaction(message.topic, sent, state)
        return TransactionResult(sent, state)

    def request(self, message: Message, timeout: float = 3.0) -> ReceivedMessage:
        """Sends a message and waits for the one that its consumer answers with.

        Raises:
            Timeout: Nobody answered within `timeout` seconds, the sending included.
        """
        return cast(ReceivedMessage, self._native.request(message, timeout))

    def request_async(
        self, message: Message, timeout: float = 3.0
    ) -> "Future[ReceivedMessage]":
        """`request` without waiting."""
        native = self._native
        return _dispatch.begin(lambda ticket: native.request(message, timeout, ticket))

    def recall(self, topic: str, recall_handle: str) -> str:
        """Takes back a timed message that is not delivered yet; its unique id.

        `recall_handle` is that of its `SendResult`. What is due meanwhile may still come.

        Raises:
            InvalidError: This is no handle of a message of this topic.
            BrokerError: The broker does not recall, or the time is over.
        """
        return cast(str, self._native.recall(topic, recall_handle))

    def queues(self, topic: str) -> list[MessageQueue]:
        """The queues that a topic's messages can be sent to."""
        return cast(list[MessageQueue], self._native.queues(topic))

    def flush(self, timeout: float = 10.0) -> None:
        """Waits until nothing is under way.

        Raises:
            Timeout: Something still is after `timeout` seconds.
        """
        self._native.flush(timeout)

    def close(self, timeout: float = 10.0) -> None:
        """Closes: new sends fail at once, those under way may end within `timeout` seconds.

        A second call does nothing. Any callback may call it.
        """
        raw = self._to_close()
        if raw is None:
            return
        try:
            raw.close(timeout)
        finally:
            if self._checks is not None:
                self._checks.close()

    def _end(self) -> None:
        self.close(self._patience)


def producer_keys(
    group: str,
    namesrv: str | None,
    send_timeout: float | None,
    max_in_flight: int | None,
    config: Mapping[str, ConfigValue] | None,
    options: Mapping[str, ConfigValue],
) -> dict[str, str]:
    """The keys for the arguments of a producer."""
    keys = _config.keys(config, options)
    keys["producerGroup"] = group
    if namesrv is not None:
        keys["namesrvAddr"] = namesrv
    if send_timeout is not None:
        keys["sendMsgTimeout"] = str(max(1, round(send_timeout * 1000)))
    if max_in_flight is not None:
        keys["rmq.maxInFlight"] = str(max_in_flight)
    return keys
