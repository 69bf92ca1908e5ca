"""Sends messages from an event loop."""

import asyncio
import inspect
import logging
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import cast

from rmq import _config, _rmq
from rmq._config import ConfigValue
from rmq._producer import ProducerView, TransactionResult, producer_keys
from rmq._rmq import (
    Message,
    MessageQueue,
    ReceivedMessage,
    SendResult,
    SendStatus,
    TransactionCheck,
    TransactionState,
)
from rmq.aio import _hub
from rmq.aio._hub import AsyncHandle

Decision = TransactionState | Awaitable[TransactionState]
Checker = Callable[[ReceivedMessage], Decision]
_logger = logging.getLogger("rmq")
_IN_FLIGHT_MAX = 10_000


async def _decided(decision: Decision) -> TransactionState:
    if inspect.isawaitable(decision):
        return await decision
    return decision


class Producer(AsyncHandle["_rmq.NativeProducer"], ProducerView):
    """`rmq.Producer` for asyncio.

    No thread of Python takes part: the loop watches a descriptor of the native library. A send that
    is cancelled is not waited for any more; the message may be stored all the same. When
    `max_in_flight` sends are under way, one more waits until there is room.

    The checker and the functions that transactions execute may be coroutine functions; they run on
    the loop that the producer was started on.
    """

    def __init__(
        self,
        group: str = "DEFAULT_PRODUCER",
        namesrv: str | None = None,
        *,
        checker: Checker | None = None,
        send_timeout: float | None = None,
        max_in_flight: int = _IN_FLIGHT_MAX,
        config: Mapping[str, ConfigValue] | None = None,
        config_file: str | os.PathLike[str] | None = None,
        **options: ConfigValue,
    ) -> None:
        super().__init__()
        self._keys = producer_keys(group, namesrv, send_timeout, max_in_flight, config, options)
        self._file = _config.path_of(config_file)
        self._room = asyncio.Semaphore(max_in_flight)
        self._checker = checker
        self._checks: _rmq.Completions | None = None
        self._answers: set[asyncio.Task[None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def _start(self) -> None:
        self._loop = asyncio.get_running_loop()
        if self._checker is not None:
            self._checks = _rmq.Completions()
            self._loop.add_reader(self._checks.fileno(), self._asked)
        self._opened(_rmq.NativeProducer.start(self._keys, self._file, self._checks))

    def _asked(self) -> None:
        taken = self._checks.take() if self._checks is not None else None
        for _, _, check in taken or []:
            task = asyncio.ensure_future(self._answer(check))
            self._answers.add(task)
            task.add_done_callback(self._answers.discard)

    async def _answer(self, check: TransactionCheck) -> None:
        state = TransactionState.UNKNOWN
        try:
            if self._checker is not None:
                state = await _decided(self._checker(check.message))
        except Exception:
            _logger.exception("the checker of a transaction raised; the broker asks again")
        check.answer(state)

    async def _sent(self, operation: Callable[[_rmq.Ticket], object]) -> SendResult:
        await self._room.acquire()
        try:
            # There is room again when the send has ended, not when its caller was cancelled.
            future = _hub.begin(operation, self._room.release)
        except BaseException:
            self._room.release()
            raise
        return cast(SendResult, await future)

    async def send(
        self,
        message: Message,
        *,
        queue: MessageQueue | None = None,
        sharding_key: str | None = None,
        timeout: float | None = None,
    ) -> SendResult:
        """Sends a message and waits until it is acknowledged."""
        native = self._native
        return await self._sent(
            lambda ticket: native.send(message, queue, sharding_key, timeout, ticket)
        )

    async def send_batch(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> SendResult:
        """Sends messages of one topic as one request: all are stored, or none."""
        native, batch = self._native, list(messages)
        return await self._sent(lambda ticket: native.send_batch(batch, timeout, ticket))

    async def send_in_transaction(
        self,
        message: Message,
        execute: Callable[[SendResult], Decision],
        *,
        queue: MessageQueue | None = None,
        sharding_key: str | None = None,
        timeout: float | None = None,
    ) -> TransactionResult:
        """Sends a half message, calls `execute`, and tells the broker what it answered.

        If `execute` raises or is cancelled, the broker asks the checker.
        """
        native = self._native
        sent = await self._sent(
            lambda ticket: native.send_half(message, queue, sharding_key, timeout, ticket)
        )
        state = TransactionState.UNKNOWN
        try:
            if sent.status == SendStatus.OK:
                state = await _decided(execute(sent))
            else:
                state = TransactionState.ROLLBACK
        finally:
            ended = state
            await _hub.begin(
                lambda ticket: native.end_transaction(message.topic, sent, ended, ticket)
            )
        return TransactionResult(sent, state)

    async def request(self, message: Message, timeout: float = 3.0) -> ReceivedMessage:
        """Sends a message and waits for the one that its consumer answers with."""
        native = self._native
        reply = await _hub.begin(lambda ticket: native.request(message, timeout, ticket))
        return cast(ReceivedMessage, reply)

    async def recall(self, topic: str, recall_handle: str) -> str:
        """Takes back a timed message that is not delivered yet; its unique id."""
        native = self._native
        recalled = await _hub.begin(lambda ticket: native.recall(topic, recall_handle, ticket))
        return cast(str, recalled)

    async def queues(self, topic: str) -> list[MessageQueue]:
        """The queues that a topic's messages can be sent to."""
        native = self._native
        return cast(
            list[MessageQueue], await _hub.begin(lambda ticket: native.queues(topic, ticket))
        )

    async def flush(self, timeout: float = 10.0) -> None:
        """Waits until nothing is under way."""
        native = self._native
        await _hub.begin(lambda ticket: native.flush(timeout, ticket))

    async def close(self, timeout: float = 10.0) -> None:
        """Closes: new sends fail at once, those under way may end within `timeout` seconds."""
        raw = self._to_close()
        if raw is None:
            return
        try:
            await _hub.begin(lambda ticket: raw.close(timeout, ticket))
        finally:
            self._forget_checks()

    def _forget_checks(self) -> None:
        if self._checks is not None and self._loop is not None:
            if not self._loop.is_closed():
                self._loop.remove_reader(self._checks.fileno())
            self._checks.close()
            self._checks = None
