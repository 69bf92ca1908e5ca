"""The thread that completes futures."""

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from rmq import _handles, _rmq

T = TypeVar("T")
_FOREVER_S = 3600.0


class _Dispatcher:
    """Sets results on one thread of Python, in the order in which they came."""

    def __init__(self) -> None:
        self._completions = _rmq.Completions()
        # By the token of the operation: the future's id, which is no other's while it is in here.
        self._futures: dict[int, Future[Any]] = {}
        self._thread = threading.Thread(target=self._run, name="rmq-futures", daemon=True)
        self._thread.start()

    def begin(self, operation: Callable[[_rmq.Ticket], object]) -> "Future[Any]":
        """Begins an operation; what it raises now is raised, and the rest comes to the future."""
        future: Future[Any] = Future()
        # It cannot be taken back any more.
        future.set_running_or_notify_cancel()
        token = id(future)
        self._futures[token] = future
        try:
            operation(self._completions.ticket(token))
        except BaseException:
            del self._futures[token]
            raise
        return future

    def _run(self) -> None:
        while (taken := self._completions.wait(_FOREVER_S)) is not None:
            for token, failed, value in taken:
                future = self._futures.pop(token)
                if failed:
                    future.set_exception(value)
                else:
                    future.set_result(value)

    def end(self) -> None:
        self._completions.close()
        self._thread.join(2.0)


_lock = threading.Lock()
_dispatcher: _Dispatcher | None = None


def begin(operation: Callable[[_rmq.Ticket], object]) -> "Future[Any]":
    """Begins an operation whose outcome comes to a future."""
    global _dispatcher
    dispatcher = _dispatcher
    if dispatcher is None:
        with _lock:
            dispatcher = _dispatcher = _dispatcher or _Dispatcher()
    return dispatcher.begin(operation)


def _end() -> None:
    if _dispatcher is not None:
        _dispatcher.end()


def _in_child() -> None:
    global _dispatcher, _lock
    _dispatcher, _lock = None, threading.Lock()


_handles.at_exit(_end)
os.register_at_fork(after_in_child=_in_child)
