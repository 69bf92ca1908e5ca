"""From Python's names to Apache's keys."""

import os
from collections.abc import Iterable, Mapping
from typing import Final

ConfigValue = str | int | float | bool | os.PathLike[str] | Iterable[str] | None

# Names that are not the key in another spelling.
_KEYS: Final = {
    "broker_ip1": "brokerIP1",
    "broker_ip2": "brokerIP2",
    "client_ip": "clientIP",
    "namesrv": "namesrvAddr",
    "retry_another_broker_when_not_store_ok": "retryAnotherBrokerWhenNotStoreOK",
}


def key_of(name: str) -> str:
    """The key for the name of an argument: ``broker_name`` is ``brokerName``."""
    if name in _KEYS:
        return _KEYS[name]
    first, *rest = name.split("_")
    return first + "".join(part[:1].upper() + part[1:] for part in rest)


def text_of(value: ConfigValue) -> str:
    """A value as it stands in a properties file."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Iterable):
        return ";".join(value)
    return str(value)


def keys(
    config: Mapping[str, ConfigValue] | None, options: Mapping[str, ConfigValue]
) -> dict[str, str]:
    """Apache's keys of a mapping, then those of named arguments; None is as if it was not given."""
    all_keys = {key: text_of(value) for key, value in (config or {}).items()}
    for name, value in options.items():
        if value is not None:
            all_keys[key_of(name)] = text_of(value)
    return all_keys


def path_of(path: str | os.PathLike[str] | None) -> str | None:
    """A path as text."""
    return None if path is None else os.fspath(path)


FLUSH: Final = {"async": "ASYNC_FLUSH", "sync": "SYNC_FLUSH"}


def flush_of(flush: str | None) -> str | None:
    """The flush type by its short name."""
    return None if flush is None else FLUSH.get(flush, flush)
