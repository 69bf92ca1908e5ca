"""Takes messages on an event loop."""

import asyncio
import inspect
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Literal, cast

from rmq import _errors, _rmq
from rmq._consumer import Expression, PullView, PushView, wanted
from rmq._rmq import Delivery, MessageQueue, ReceivedMessage
from rmq.aio import _hub
from rmq.aio._hub import AsyncHandle

_logger = logging.getLogger("rmq")
# So many deliveries are handed out before other tasks get a turn.
_TURN = 32


class PushConsumer(AsyncHandle["_rmq.NativePushConsumer"], PushView):
    """`rmq.PushConsumer` for asyncio::

        async for delivery in consumer:
            async with asyncio.timeout(5):
                with delivery:
                    await handle(delivery.body)

    The loop watches a descriptor of the native library, and only while a task waits. Deliveries
    stay there until they are taken, so that a task that is cancelled while it waits has taken none;
    `prefetch` bounds how many there are. One that is let go of without an answer comes again later.
    While it closes, those that are out may still be answered for.
    """

    def _prepared(self) -> None:
        self._waiting: set[asyncio.Future[None]] = set()
        self._turn = 0

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


class PullConsumer(AsyncHandle["_rmq.NativePullConsumer"], PullView):
    """`rmq.PullConsumer` for asyncio."""

    def _prepared(self) -> None:
        self._turn = 0

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
