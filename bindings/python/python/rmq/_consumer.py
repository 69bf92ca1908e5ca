"""Takes messages."""

import logging
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Literal, cast

from rmq import _config, _errors, _rmq
from rmq._config import ConfigValue
from rmq._handles import RANK_CONSUMER, Handle, SyncHandle
from rmq._rmq import Delivery, MessageQueue, ReceivedMessage

_FOREVER_S = 3600.0
_BATCH_MAX = 32
_logger = logging.getLogger("rmq")


@dataclass(frozen=True)
class Sql:
    """A condition in SQL92 on the properties of messages, instead of tags.

    The brokers must have ``enablePropertyFilter``.
    """

    condition: str


StartFrom = Literal["last", "first"] | datetime
Expression = str | Sql
Subscriptions = str | Mapping[str, Expression] | Iterable[str]


def wanted_of(subscribe: Subscriptions) -> list[tuple[str, str, bool]]:
    """What is subscribed to, as the native library takes it."""
    if isinstance(subscribe, str):
        subscribe = {subscribe: "*"}
    elif not isinstance(subscribe, Mapping):
        subscribe = {topic: "*" for topic in subscribe}
    return [wanted(topic, expression) for topic, expression in subscribe.items()]


def wanted(topic: str, expression: Expression) -> tuple[str, str, bool]:
    """One subscription."""
    if isinstance(expression, Sql):
        return (topic, expression.condition, True)
    return (topic, expression, False)


def consumer_keys(
    group: str,
    namesrv: str | None,
    start_from: StartFrom | None,
    prefetch: int | None,
    config: Mapping[str, ConfigValue] | None,
    options: Mapping[str, ConfigValue],
) -> dict[str, str]:
    """The keys for the arguments of a consumer."""
    keys = _config.keys(config, options)
    keys["consumerGroup"] = group
    if namesrv is not None:
        keys["namesrvAddr"] = namesrv
    if isinstance(start_from, datetime):
        keys["consumeFromWhere"] = "CONSUME_FROM_TIMESTAMP"
        keys["consumeTimestamp"] = start_from.astimezone(timezone.utc).strftime("%Y%m%d%H%M%S")
    elif start_from is not None:
        keys["consumeFromWhere"] = f"CONSUME_FROM_{start_from.upper()}_OFFSET"
    if prefetch is not None:
        keys["pullThresholdForQueue"] = str(prefetch)
    return keys


class PushView(Handle["_rmq.NativePushConsumer"]):
    """What can be done with a push consumer without waiting."""

    _what = "push consumer"
    _rank = RANK_CONSUMER

    def __init__(
        self,
        group: str,
        namesrv: str | None = None,
        subscribe: Subscriptions = (),
        *,
        orderly: bool = False,
        broadcast: bool = False,
        start_from: StartFrom | None = None,
        prefetch: int | None = None,
        config: Mapping[str, ConfigValue] | None = None,
        config_file: str | os.PathLike[str] | None = None,
        **options: ConfigValue,
    ) -> None:
        super().__init__()
        if broadcast:
            options["message_model"] = "BROADCASTING"
        self._keys = consumer_keys(group, namesrv, start_from, prefetch, config, options)
        self._file = _config.path_of(config_file)
        self._wanted, self._orderly = wanted_of(subscribe), orderly
        self._prepared()

    def _begin(self, ticket: _rmq.Ticket | None = None) -> Any:
        start = _rmq.NativePushConsumer.start
        return start(self._keys, self._file, self._wanted, self._orderly, ticket)

    @property
    def client_id(self) -> str:
        """The id that brokers know this consumer by."""
        return self._native.client_id

    @property
    def queues(self) -> list[MessageQueue]:
        """The queues that it has now."""
        return self._native.queues()

    def suspend(self) -> None:
        """Is given no more messages until `resume`."""
        self._native.suspend()

    def resume(self) -> None:
        """Goes on after `suspend`."""
        self._native.resume()


class PushConsumer(SyncHandle["_rmq.NativePushConsumer"], PushView):
    """Is given the messages of its subscriptions. Shares a group with others, Java's among them.

    Messages come as deliveries that are answered for one by one, on any thread. Either iterate::

        for delivery in consumer:
            with delivery:
                handle(delivery.body)

    or hand over a function with `run`, or `poll`. Every message comes at least once, some more
    than once. What is not answered for counts against `prefetch`, so a program that does not keep
    up is given no more than it can hold.

    Args:
        group: The consumer group.
        namesrv: The nameservers: ``host:port``, several separated by ``;``.
        subscribe: A topic, several, or topics with tags (``{"T": "A || B"}``) or `Sql`.
        orderly: Whether each queue's messages come one after the other, in order. What comes again
            holds its queue up.
        broadcast: Whether each member of the group gets every message, instead of a share.
        start_from: Where a group that has no offset begins: with the "first" message there is, the
            "last" (what is sent from now on), or at a time.
        prefetch: Messages of a queue that are held at a time.
        config: Keys of Apache's Java client with their values.
        config_file: A file in the format of Java's properties; other arguments win over it.
        **options: Any other key, in Python's spelling: ``max_reconsume_times=3``.

    Raises:
        ConfigError: An argument is not usable, or there is no subscription.
    """

    def _prepared(self) -> None:
        self._workers: set[int] = set()
        self._stopping = threading.Event()
        super()._prepared()

    def subscribe(self, topic: str, expression: Expression = "*") -> None:
        """Takes a topic more, or another choice of one."""
        self._native.subscribe(wanted(topic, expression))

    def unsubscribe(self, topic: str) -> None:
        """Takes no more of a topic."""
        self._native.unsubscribe(topic)

    def poll(self, max: int = 1, timeout: float = _FOREVER_S) -> list[Delivery]:
        """The next deliveries, at most `max`; waits for the first at most for `timeout` seconds.

        An empty list when none came. `ClosedError`: also while it waits.
        """
        return self._native.poll(timeout, max)

    def __iter__(self) -> Iterator[Delivery]:
        """Deliveries as they come, until the consumer is closed. Several threads may iterate."""
        while True:
            try:
                taken = self.poll()
            except _errors.ClosedError:
                return
            yield from taken

    def run(self, handler: Callable[[Delivery], object], *, threads: int = 1) -> None:
        """Calls `handler` for each delivery, on `threads` threads, until the consumer is closed.

        A delivery is acknowledged when `handler` returns, unless it answered itself; if it raises,
        that is logged, and the message comes again later. `close` ends it, from a handler too, and
        so does Ctrl-C, which is raised here when the calls that run have returned.
        """
        native = self._native
        if threads < 1:
            raise ValueError("at least one thread is needed")
        crew = [
            threading.Thread(
                target=self._work, args=(native, handler, threads), name=f"rmq-handler-{n}",
                daemon=True,
            )
            for n in range(threads)
        ]
        for thread in crew:
            thread.start()
        try:
            for thread in crew:
                thread.join()
        finally:
            self._stopping.set()
            for thread in crew:
                thread.join()
            self._stopping.clear()
            if self._was_closed:
                # A handler closed it, and could not wait for itself.
                native.close(10.0)

    def _work(
        self,
        native: _rmq.NativePushConsumer,
        handler: Callable[[Delivery], object],
        threads: int,
    ) -> None:
        own = threading.get_ident()
        self._workers.add(own)
        try:
            while not self._stopping.is_set():
                try:
                    taken = native.poll(0.1, _BATCH_MAX, threads)
                except (_errors.ClosedError, RuntimeError):
                    return
                for delivery in taken:
                    handle(handler, delivery)
        finally:
            self._workers.discard(own)

    def close(self, timeout: float = 10.0) -> None:
        """Closes: no more deliveries come, those that are out may be answered for within `timeout`
        seconds, offsets are committed, and others take the queues over.

        A second call does nothing. Called by a handler of `run`, it has `run` close when the
        handlers have returned.

        Raises:
            Timeout: Not every delivery was answered for; those messages come again.
        """
        raw = self._to_close()
        if raw is None:
            return
        if threading.get_ident() in self._workers:
            self._stopping.set()
            return
        raw.close(timeout)


def handle(handler: Callable[[Delivery], object], delivery: Delivery) -> None:
    """Calls a handler and answers for the delivery."""
    try:
        handler(delivery)
    except Exception:
        delivery.later()
        _logger.exception("the handler of a message raised; the message comes again later")
    except BaseException:
        delivery.later()
        raise
    else:
        delivery.ack()


class PullView(Handle["_rmq.NativePullConsumer"]):
    """What can be done with a pull consumer without waiting."""

    _what = "pull consumer"
    _rank = RANK_CONSUMER

    def __init__(
        self,
        group: str,
        namesrv: str | None = None,
        subscribe: Subscriptions = (),
        *,
        auto_commit: bool = True,
        start_from: StartFrom | None = None,
        prefetch: int | None = None,
        config: Mapping[str, ConfigValue] | None = None,
        config_file: str | os.PathLike[str] | None = None,
        **options: ConfigValue,
    ) -> None:
        super().__init__()
        options["auto_commit"] = auto_commit
        self._keys = consumer_keys(group, namesrv, start_from, prefetch, config, options)
        self._file, self._wanted = _config.path_of(config_file), wanted_of(subscribe)
        self._prepared()

    def _begin(self, ticket: _rmq.Ticket | None = None) -> Any:
        return _rmq.NativePullConsumer.start(self._keys, self._file, self._wanted, ticket)

    @property
    def client_id(self) -> str:
        """The id that brokers know this consumer by."""
        return self._native.client_id

    @property
    def assignment(self) -> list[MessageQueue]:
        """The queues that it has now."""
        return self._native.assignment()

    def pause(self, queues: Iterable[MessageQueue]) -> None:
        """Hands out nothing of these queues until they are resumed."""
        self._native.pause(list(queues))

    def resume(self, queues: Iterable[MessageQueue]) -> None:
        """Goes on after `pause`."""
        self._native.resume(list(queues))

    def position(self, queue: MessageQueue) -> int:
        """The offset of the next message that is handed out of a queue."""
        return self._native.position(queue)


class PullConsumer(SyncHandle["_rmq.NativePullConsumer"], PullView):
    """Hands out messages when it is asked to; they are fetched ahead.

    Its queues are either divided among its group (`subscribe`) or given by the program (`assign`).
    Messages count as consumed when they are handed out; offsets are committed now and then, or
    with `auto_commit=False` by `commit` alone.

    Args:
        group: The consumer group.
        namesrv: The nameservers: ``host:port``, several separated by ``;``.
        subscribe: As for `PushConsumer`; may be left out and done later.
        auto_commit: Whether offsets are committed without the program's doing.
        start_from: Where a group that has no offset begins, as for `PushConsumer`.
        prefetch: Messages of a queue that are held at a time.
        config: Keys of Apache's Java client with their values.
        config_file: A file in the format of Java's properties; other arguments win over it.
        **options: Any other key, in Python's spelling.
    """

    def subscribe(self, topic: str, expression: Expression = "*") -> None:
        """Takes this member's share of a topic, besides what it subscribed to before."""
        self._native.subscribe(wanted(topic, expression))

    def assign(self, queues: Iterable[MessageQueue]) -> None:
        """Takes these queues and no others, from where the group stands."""
        self._native.assign(list(queues))

    def queues(self, topic: str) -> list[MessageQueue]:
        """The queues of a topic that can be read."""
        return cast(list[MessageQueue], self._native.queues(topic))

    def poll(self, max: int = 32, timeout: float = 5.0) -> list[ReceivedMessage]:
        """The next messages of any queue, at most `max`.

        Waits for the first at most for `timeout` seconds; an empty list when none came.
        `ClosedError`: also while it waits.
        """
        return cast(list[ReceivedMessage], self._native.poll(max, timeout))

    def __iter__(self) -> Iterator[ReceivedMessage]:
        """Messages as they come, until the consumer is closed."""
        while True:
            try:
                taken = self.poll(1, _FOREVER_S)
            except _errors.ClosedError:
                return
            yield from taken

    def seek(self, queue: MessageQueue, to: int | Literal["begin", "end"]) -> None:
        """Goes on at an offset of a queue, at its first message, or with what comes from now on.

        Raises:
            InvalidError: The consumer does not have the queue.
        """
        self._native.seek(queue, to)

    def committed(self, queue: MessageQueue) -> int | None:
        """What the group committed for a queue."""
        return cast("int | None", self._native.committed(queue))

    def offset_at(self, queue: MessageQueue, timestamp_ms: int) -> int:
        """The first offset of what was stored at a time, ms since the epoch, or later."""
        return cast(int, self._native.offset_at(queue, timestamp_ms))

    def commit(self, timeout: float = 10.0) -> None:
        """Commits what was handed out and waits until the brokers have it."""
        self._native.commit(timeout)
