"""Takes messages on an event loop."""

import asyncio
import inspect
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from typing import Literal, cast

from rmq import _config, _errors, _rmq
from rmq._config import ConfigValue
from rmq._consumer import (
    Expression,
    PullView,
    PushView,
    StartFrom,
    Subscriptions,
    consumer_keys,
    wanted,
    wanted_of,
)
from rmq._rmq import Delivery, MessageQueue, ReceivedMessage
from rmq.aio import _hub
from rmq.aio._hub import AsyncHandle

_logger = logging.getLogger("rmq")
# So many deliveries are handed out before other tasks get a turn.
_TURN = 32


class PushConsumer(AsyncHandle, PushView):
    """`rmq.PushConsumer` for asyncio::

        async for delivery in consumer:
            async with asyncio.timeout(5):
                with delivery:
                    await handle(delivery.body)

    The loop watches a descriptor of the native library, and only while a task waits. Deliveries
    stay there until they are taken, so that a task that is cancelled while it waits has taken none;
    `prefetch` bounds how many there are. One that is let go of without an answer comes again later.
    """

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
        self._waiting: set[asyncio.Future[None]] = set()
        self._turn = 0

    async def _start(self) -> None:
        start, keys, file = _rmq.NativePushConsumer.start, self._keys, self._file
        self._opened(
            await _hub.begin(
                lambda ticket: start(keys, file, self._wanted, self._orderly, ticket)
            )
        )

    async def subscribe(self, topic: str, expression: Expression = "*") -> None:
        """Takes a topic more, or another choice of one."""
        native = self._native
        await _hub.begin(lambda ticket: native.subscribe(wanted(topic, expression), ticket))

    async def unsubscribe(self, topic: str) -> None:
        """Takes no more of a topic."""
        native = self._native
        await _hub.begin(lambda ticket: native.unsubscribe(topic, ticket))

    async def _readable(self, native: _rmq.NativePushConsumer) -> None:
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        descriptor = native.fileno()
        if not self._waiting:
            loop.add_reader(descriptor, self._tell)
        self._waiting.add(future)
        try:
            await future
        finally:
            self._waiting.discard(future)
            if not self._waiting:
                loop.remove_reader(descriptor)

    def _tell(self) -> None:
        for future in self._waiting:
            if not future.done():
                future.set_result(None)

    async def poll(self, max: int = 1, timeout: float | None = None) -> list[Delivery]:
        """The next deliveries, at most `max`; waits for the first, at most for `timeout` seconds.

        An empty list when none came. `ClosedError`: also while it waits.
        """
        native = self._native
        self._turn += 1
        if self._turn % _TURN == 0:
            await asyncio.sleep(0)
        try:
            async with asyncio.timeout(timeout):
                while not (taken := native.take(max)):
                    await self._readable(native)
        except TimeoutError as error:
            if isinstance(error, _errors.RmqError):
                raise
            return []
        return taken

    async def __aiter__(self) -> AsyncIterator[Delivery]:
        """Deliveries as they come, until the consumer is closed. Several tasks may iterate."""
        while True:
            try:
                taken = await self.poll()
            except _errors.ClosedError:
                return
            for delivery in taken:
                yield delivery

    async def run(
        self,
        handler: Callable[[Delivery], Awaitable[object] | object],
        *,
        concurrency: int = 1,
    ) -> None:
        """Calls `handler` for each delivery, in `concurrency` tasks, until the consumer is closed.

        A delivery is acknowledged when `handler` returns, unless it answered itself; if it raises,
        that is logged, and the message comes again later. Cancelling ends it: handlers that wait
        are cancelled, and their messages come again.
        """
        if concurrency < 1:
            raise ValueError("at least one task is needed")
        async with asyncio.TaskGroup() as group:
            for _ in range(concurrency):
                group.create_task(self._work(handler))

    async def _work(self, handler: Callable[[Delivery], Awaitable[object] | object]) -> None:
        while True:
            try:
                taken = await self.poll()
            except _errors.ClosedError:
                return
            for delivery in taken:
                try:
                    with delivery:
                        outcome = handler(delivery)
                        if inspect.isawaitable(outcome):
                            await outcome
                except Exception:
                    _logger.exception("the handler of a message raised; it comes again later")

    async def close(self, timeout: float = 10.0) -> None:
        """Closes: no more deliveries come, and those that are out may be answered for within
        `timeout` seconds. A second call does nothing."""
        if (raw := self._to_close()) is not None:
            await _hub.begin(lambda ticket: raw.close(timeout, ticket))

    def _end(self) -> None:
        if (raw := self._to_close()) is not None:
            raw.close(self._patience)


class PullConsumer(AsyncHandle, PullView):
    """`rmq.PullConsumer` for asyncio."""

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
        self._file = _config.path_of(config_file)
        self._wanted = wanted_of(subscribe)
        self._turn = 0

    async def _start(self) -> None:
        start, keys, file = _rmq.NativePullConsumer.start, self._keys, self._file
        self._opened(await _hub.begin(lambda ticket: start(keys, file, self._wanted, ticket)))

    async def subscribe(self, topic: str, expression: Expression = "*") -> None:
        """Takes this member's share of a topic, besides what it subscribed to before."""
        native = self._native
        await _hub.begin(lambda ticket: native.subscribe(wanted(topic, expression), ticket))

    async def assign(self, queues: Iterable[MessageQueue]) -> None:
        """Takes these queues and no others, from where the group stands."""
        native, wanted_queues = self._native, list(queues)
        await _hub.begin(lambda ticket: native.assign(wanted_queues, ticket))

    async def queues(self, topic: str) -> list[MessageQueue]:
        """The queues of a topic that can be read."""
        native = self._native
        found = await _hub.begin(lambda ticket: native.queues(topic, ticket))
        return cast(list[MessageQueue], found)

    async def poll(self, max: int = 32, timeout: float | None = 5.0) -> list[ReceivedMessage]:
        """The next messages of any queue, at most `max`; waits for the first, at most for `timeout`
        seconds. A task that is cancelled while it waits has taken none."""
        native = self._native
        self._turn += 1
        if self._turn % _TURN == 0:
            await asyncio.sleep(0)
        try:
            async with asyncio.timeout(timeout):
                while not (taken := native.poll(max, 0.0)):
                    await _hub.begin(native.when_ready)
        except TimeoutError as error:
            if isinstance(error, _errors.RmqError):
                raise
            return []
        return cast(list[ReceivedMessage], taken)

    async def __aiter__(self) -> AsyncIterator[ReceivedMessage]:
        """Messages as they come, until the consumer is closed."""
        while True:
            try:
                taken = await self.poll(1, None)
            except _errors.ClosedError:
                return
            for message in taken:
                yield message

    async def seek(self, queue: MessageQueue, to: int | Literal["begin", "end"]) -> None:
        """Goes on at an offset of a queue, at its first message, or with what comes from now on."""
        native = self._native
        await _hub.begin(lambda ticket: native.seek(queue, to, ticket))

    async def committed(self, queue: MessageQueue) -> int | None:
        """What the group committed for a queue."""
        native = self._native
        found = await _hub.begin(lambda ticket: native.committed(queue, ticket))
        return cast("int | None", found)

    async def offset_at(self, queue: MessageQueue, timestamp_ms: int) -> int:
        """The first offset of what was stored at a time, ms since the epoch, or later."""
        native = self._native
        found = await _hub.begin(lambda ticket: native.offset_at(queue, timestamp_ms, ticket))
        return cast(int, found)

    async def commit(self, timeout: float = 10.0) -> None:
        """Commits what was handed out and waits until the brokers have it."""
        native = self._native
        await _hub.begin(lambda ticket: native.commit(timeout, ticket))

    async def close(self, timeout: float = 10.0) -> None:
        """Closes; who waits in `poll` is told. A second call does nothing."""
        if (raw := self._to_close()) is not None:
            await _hub.begin(lambda ticket: raw.close(timeout, ticket))

    def _end(self) -> None:
        if (raw := self._to_close()) is not None:
            raw.close(self._patience)
