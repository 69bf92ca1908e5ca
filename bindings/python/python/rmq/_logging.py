"""The library's log, in `logging`."""

import logging
import os
import threading
from typing import Final

from rmq import _handles, _rmq

LOGGER: Final = logging.getLogger("rmq")
LOGGER.addHandler(logging.NullHandler())

_lock = threading.Lock()
_thread: threading.Thread | None = None
_stopping = threading.Event()


def _name_of(target: str) -> str:
    """The name of the logger for a part of the library."""
    return target.replace("rmq_core", "rmq", 1).replace("::", ".")


def _run(stopping: threading.Event) -> None:
    while not stopping.is_set():
        try:
            records, dropped = _rmq.log_take(0.2)
        except RuntimeError:
            return
        for level, target, message in records:
            logging.getLogger(_name_of(target)).log(level, "%s", message)
        if dropped:
            LOGGER.warning("%d records were dropped: they came too fast", dropped)


def enable_logging(level: int = logging.INFO) -> None:
    """Hands what the library has to say to the logger "rmq" and its children, from this level on.

    Nothing is told before the first call. A thread of Python does it; no thread of the library
    waits for it, and when it does not keep up, records are dropped and counted.
    """
    global _thread, _stopping
    with _lock:
        if level <= 0:
            raise ValueError("a level is above 0; disable_logging() ends the log")
        _rmq.log_start(min(level, 255))
        if _thread is None or not _thread.is_alive():
            _stopping = threading.Event()
            arguments = (_stopping,)
            _thread = threading.Thread(
                target=_run, args=arguments, name="rmq-log", daemon=True
            )
            _thread.start()


def disable_logging() -> None:
    """Ends what `enable_logging` began. What was said before is told first."""
    global _thread
    with _lock:
        _rmq.log_start(0)
        _stopping.set()
        thread, _thread = _thread, None
    if thread is not None and thread is not threading.current_thread():
        thread.join(2.0)


def _in_child() -> None:
    global _lock, _thread
    _lock, _thread = threading.Lock(), None


_handles.at_exit(disable_logging)
os.register_at_fork(after_in_child=_in_child)
