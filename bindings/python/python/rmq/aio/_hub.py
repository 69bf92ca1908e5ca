"""Native operations as awaitables, without a thread of Python in between."""

import asyncio
import os
import weakref
from collections.abc import Callable, Generator
from types import TracebackType
from typing import Any, Self

from rmq import _rmq
from rmq._handles import Handle, N

Ended = Callable[[], None]


class _Hub:
    """Completes the futures of one event loop, which watches the descriptor of what completed."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._completions = _rmq.Completions()
        # By the token of the operation: the future's id, which is no other's while it is in here.
        self._futures: dict[int, tuple[asyncio.Future[Any], Ended | None]] = {}
        loop.add_reader(self._completions.fileno(), self._drain)

    def begin(
        self,
        loop: asyncio.AbstractEventLoop,
        operation: Callable[[_rmq.Ticket], object],
        ended: "Ended | None",
    ) -> "asyncio.Future[Any]":
        future = loop.create_future()
        token = id(future)
        self._futures[token] = (future, ended)
        try:
            operation(self._completions.ticket(token))
        except BaseException:
            del self._futures[token]
            raise
        return future

    def _drain(self) -> None:
        for token, failed, value in self._completions.take() or []:
            future, ended = self._futures.pop(token)
            if ended is not None:
                ended()
            # Who waited may have been cancelled; the operation went on.
            if future.done():
                continue
            if failed:
                future.set_exception(value)
            else:
                future.set_result(value)


_hubs: "weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Hub]" = weakref.WeakKeyDictionary()


def begin(
    operation: Callable[[_rmq.Ticket], object], ended: Ended | None = None
) -> "asyncio.Future[Any]":
    """Begins an operation whose outcome comes to a future of the running loop.

    `ended` is called when it has ended, also when nobody waits for the future any more.
    """
    loop = asyncio.get_running_loop()
    hub = _hubs.get(loop)
    if hub is None:
        hub = _hubs[loop] = _Hub(loop)
    return hub.begin(loop, operation, ended)


def _in_child() -> None:
    _hubs.clear()


os.register_at_fork(after_in_child=_in_child)


class AsyncHandle(Handle[N]):
    """A handle that is started by ``async with`` or ``await``, and closed at the end of a block."""

    async def _start(self) -> None:
        self._opened(await begin(self._begin))

    async def close(self, timeout: float = 10.0) -> None:
        """Closes it cleanly within `timeout` seconds. A second call does nothing."""
        if (raw := self._to_close()) is not None:
            await begin(lambda ticket: raw.close(timeout, ticket))

    async def start(self) -> Self:
        """Starts it, and answers itself. ``async with`` and ``await`` do that too."""
        await self._start()
        return self

    def __await__(self) -> Generator[Any, None, Self]:
        return self.start().__await__()

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._pid == os.getpid():
            await self.close()
