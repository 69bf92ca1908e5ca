"""What can go wrong: one root, and a class for each thing that a program may want to handle."""

import builtins
from typing import Final


class RmqError(Exception):
    """Any error of rmq.

    Attributes:
        code: The kind, the same in every language: ``"RMQ_E_TIMEOUT"``.
        broker_code: RocketMQ's response code if a server refused, else None.
        retriable: Whether the same call may succeed later without anything being changed.
        fatal: Whether the handle that raised it is of no further use.
    """

    def __init__(
        self,
        message: str = "",
        *,
        code: str = "RMQ_E_INTERNAL",
        broker_code: int | None = None,
        retriable: bool = False,
        fatal: bool = False,
    ) -> None:
        super().__init__(message)
        self.code: Final = code
        self.broker_code: Final = broker_code
        self.retriable: Final = retriable
        self.fatal: Final = fatal

    def __reduce__(self) -> tuple[object, ...]:
        told = (self.code, str(self), self.broker_code, self.retriable, self.fatal)
        return (make, told)


class InvalidError(RmqError, ValueError):
    """An argument is not usable."""


class ConfigError(InvalidError):
    """A configuration key is unknown, or its value is not allowed."""


class LimitError(InvalidError):
    """A limit of the configuration or of the protocol was exceeded."""


class Timeout(RmqError, builtins.TimeoutError):
    """No answer within the time allowed. What was asked for may have been done all the same."""


class ClosedError(RmqError):
    """The handle was closed."""


class ForkedError(RmqError):
    """The handle belongs to the parent of this forked process."""


class NotFoundError(RmqError, LookupError):
    """The thing asked for does not exist."""


class TopicNotFoundError(NotFoundError):
    """No nameserver knows the topic, and it was not made."""


class UnreachableError(RmqError, ConnectionError):
    """The peer could not be reached, or the connection broke."""


class BusyError(RmqError):
    """A queue or window is full; try later."""


class BrokerError(RmqError):
    """A server refused; ``broker_code`` says why."""


class SystemBusyError(BrokerError):
    """The broker has more to do than it can; try later."""


class NoPermissionError(BrokerError):
    """The topic or the group may not be used this way."""


class MessageIllegalError(BrokerError):
    """The broker does not take such a message."""


class StoreError(RmqError):
    """A store cannot be read or written."""


class AddressInUseError(RmqError, OSError):
    """The address is already bound by another socket."""


class AccessError(RmqError, PermissionError):
    """The file or address is not accessible to this user."""


class InternalError(RmqError):
    """A defect in rmq itself."""


_BY_CODE: Final[dict[str, type[RmqError]]] = {
    "RMQ_E_IO": StoreError,
    "RMQ_E_DISK_FULL": StoreError,
    "RMQ_E_READ_ONLY": StoreError,
    "RMQ_E_CORRUPT": StoreError,
    "RMQ_E_LOCKED": StoreError,
    "RMQ_E_LIMIT": LimitError,
    "RMQ_E_INVALID": InvalidError,
    "RMQ_E_NOT_FOUND": NotFoundError,
    "RMQ_E_ADDRESS_IN_USE": AddressInUseError,
    "RMQ_E_PERMISSION": AccessError,
    "RMQ_E_UNREACHABLE": UnreachableError,
    "RMQ_E_TIMEOUT": Timeout,
    "RMQ_E_BUSY": BusyError,
    "RMQ_E_CLOSED": ClosedError,
    "RMQ_E_FORKED": ForkedError,
    "RMQ_E_BROKER": BrokerError,
}

_BY_BROKER_CODE: Final[dict[int, type[BrokerError]]] = {
    2: SystemBusyError,
    13: MessageIllegalError,
    16: NoPermissionError,
}

# What begins the text of errors of configurations and of topics that are not there.
_CONFIG: Final = (
    "client options:",
    "consumer options:",
    "parse properties:",
    "producer options:",
    "read configuration:",
    "start broker:",
    "start cluster:",
    "start consumer:",
    "start nameserver:",
    "load configuration:",
)


def make(
    code: str, message: str, broker_code: int | None, retriable: bool, fatal: bool
) -> RmqError:
    """The exception for an error of the native library."""
    kind = _BY_CODE.get(code, InternalError)
    if broker_code is not None:
        kind = _BY_BROKER_CODE.get(broker_code, BrokerError)
    if kind is InvalidError and message.startswith(_CONFIG):
        kind = ConfigError
    if kind is NotFoundError and "topic" in message:
        kind = TopicNotFoundError
    return kind(message, code=code, broker_code=broker_code, retriable=retriable, fatal=fatal)


def closed(what: str) -> ClosedError:
    """The error of a handle that was closed, or was not started yet."""
    return ClosedError(f"the {what} is closed", code="RMQ_E_CLOSED", fatal=True)


def forked(what: str) -> ForkedError:
    """The error of a handle in a forked child."""
    text = f"the {what} belongs to the parent of this forked process"
    return ForkedError(text, code="RMQ_E_FORKED", fatal=True)
