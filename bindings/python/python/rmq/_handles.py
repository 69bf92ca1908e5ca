"""What all handles have in common: they are closed once, never copied, and useless after a fork."""

import atexit
import os
import warnings
import weakref
from collections.abc import Callable
from types import TracebackType
from typing import Any, ClassVar, Final, Generic, NoReturn, Protocol, Self, TypeVar

from rmq import _errors, _rmq


class _Native(Protocol):
    """What all native handles have."""

    def close(self, timeout: float, ticket: _rmq.Ticket | None = None) -> object: ...


N = TypeVar("N", bound=_Native)

# When the interpreter ends, these are closed: the ones with a low rank first.
RANK_CONSUMER: Final = 0
RANK_CLIENT: Final = 1
RANK_SERVER: Final = 2

_at_exit: list[Callable[[], None]] = []


class Handle(Generic[N]):
    """The base of everything that is started and closed."""

    _what: ClassVar[str] = "handle"
    _rank: ClassVar[int] = RANK_CLIENT
    # Seconds that closing may take when the interpreter ends.
    _patience: ClassVar[float] = 2.0
    # Those that are open, by id: a plain dict can be copied while other threads change it.
    _all: ClassVar["dict[int, weakref.ref[Handle[Any]]]"] = {}

    def __init__(self) -> None:
        self._raw: N | None = None
        self._pid = os.getpid()
        self._was_closed = False

    def _begin(self, ticket: _rmq.Ticket | None = None) -> Any:
        """Starts the native handle and answers it; with a ticket it comes there."""
        raise NotImplementedError

    def _prepared(self) -> None:
        """Called when everything is there that `_begin` needs."""

    def _opened(self, raw: N) -> None:
        self._raw = raw
        self._all[id(self)] = weakref.ref(self)

    @property
    def _native(self) -> N:
        """The native handle; an error if this one cannot be used."""
        if self._pid != os.getpid():
            raise _errors.forked(self._what)
        raw = self._raw
        if raw is None or self._was_closed:
            raise _errors.closed(self._what)
        return raw

    def _to_close(self) -> N | None:
        """The native handle for who closes; None if there is nothing left to do."""
        if self._pid != os.getpid():
            raise _errors.forked(self._what)
        raw = None if self._was_closed else self._raw
        self._was_closed = True
        self._all.pop(id(self), None)
        return raw

    def _end(self) -> None:
        """Closes at the end of the interpreter."""
        if (raw := self._to_close()) is not None:
            raw.close(self._patience)

    @property
    def closed(self) -> bool:
        """Whether it was closed, or never started."""
        return self._was_closed or self._raw is None

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError(f"a {type(self).__name__} cannot be copied or pickled")

    def __repr__(self) -> str:
        state = "closed" if self.closed else "open"
        return f"<rmq {self._what}, {state}>"

    def __del__(self) -> None:
        self._all.pop(id(self), None)
        if getattr(self, "_raw", None) is not None and not self._was_closed:
            if self._pid == os.getpid():
                warnings.warn(f"{self!r} was not closed", ResourceWarning, stacklevel=1)


class SyncHandle(Handle[N]):
    """A handle that is started by its constructor, and closed at the end of its block."""

    def _prepared(self) -> None:
        self._opened(self._begin())

    def close(self, timeout: float = 10.0) -> None:
        """Closes it cleanly within `timeout` seconds. A second call does nothing."""
        if (raw := self._to_close()) is not None:
            raw.close(timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._pid == os.getpid():
            self.close()


def at_exit(end: Callable[[], None]) -> None:
    """Has `end` called when the interpreter ends, after all handles were closed."""
    _at_exit.append(end)


def _end_all() -> None:
    handles = [reference() for reference in Handle._all.copy().values()]
    living = [handle for handle in handles if handle is not None]
    for handle in sorted(living, key=lambda handle: handle._rank):
        try:
            handle._end()
        except Exception:  # noqa: BLE001 - the next one is to be closed too
            pass
    for end in _at_exit:
        end()
    _rmq.end_waits(2.0)


def _in_child() -> None:
    Handle._all.clear()
    _rmq.end_waits()


atexit.register(_end_all)
os.register_at_fork(after_in_child=_in_child)
