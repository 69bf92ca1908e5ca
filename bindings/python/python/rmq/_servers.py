"""A nameserver and a broker in this process."""

import os
from collections.abc import Mapping
from types import TracebackType
from typing import Literal, Self

from rmq import _config, _rmq
from rmq._config import ConfigValue
from rmq._handles import RANK_SERVER, Handle

Flush = Literal["async", "sync"]


class _SyncHandle:
    """A handle that is closed at the end of its block."""

    _pid: int

    def close(self, timeout: float = 10.0) -> None:
        """Closes it."""
        raise NotImplementedError

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


class NameServer(_SyncHandle, Handle["_rmq.NativeNameServer"]):
    """A nameserver in this process. It accepts requests when the constructor returns.

    Args:
        listen_port: The port; 0 takes a free one. It listens on loopback unless `bind_address`
            says otherwise.
        config: Apache's keys with their values.
        config_file: A file in the format of Java's properties; other arguments win over it.
        **options: Any other key of nameservers, in Python's spelling.

    Raises:
        ConfigError: A key is unknown, or a value is not allowed.
        AddressInUseError: The port is taken.
    """

    _what = "nameserver"
    _rank = RANK_SERVER

    def __init__(
        self,
        *,
        listen_port: int = 0,
        config: Mapping[str, ConfigValue] | None = None,
        config_file: str | os.PathLike[str] | None = None,
        **options: ConfigValue,
    ) -> None:
        super().__init__()
        keys = name_server_keys(listen_port, config, config_file, options)
        self._opened(_rmq.NativeNameServer.start(keys, _config.path_of(config_file)))

    @property
    def address(self) -> str:
        """Where it listens, as clients take it: ``127.0.0.1:9876``."""
        return self._native.address

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self.address.rpartition(":")[2])

    def close(self, timeout: float = 10.0) -> None:
        """Stops it cleanly within `timeout` seconds. A second call does nothing."""
        if (raw := self._to_close()) is not None:
            raw.close(timeout)

    def kill(self) -> None:
        """Stops it as a crash would."""
        if (raw := self._to_close()) is not None:
            raw.kill()

    def _end(self) -> None:
        self.close(self._patience)


class Broker(_SyncHandle, Handle["_rmq.NativeBroker"]):
    """A broker in this process.

    When the constructor returns, its store is recovered, it accepts requests, and the nameservers
    that could be reached know it.

    Args:
        namesrv: The nameservers: ``host:port``, several separated by ``;``.
        store_path: The folder that it stores in. None makes a temporary one that goes away with the
            broker, ``":memory:"`` one that is held in memory.
        flush: When a message counts as stored: "sync" once it is on the disk.
        name: The broker's name.
        listen_port: The port; 0 takes a free one.
        config: Apache's keys with their values.
        config_file: A file in the format of Java's properties; other arguments win over it.
        **options: Any other key of brokers, in Python's spelling: ``broker_cluster_name="c"``.

    Raises:
        ConfigError: A key is unknown, or a value is not allowed.
        StoreError: The store cannot be opened; another process may hold it.
    """

    _what = "broker"
    _rank = RANK_SERVER
    _patience = 5.0

    def __init__(
        self,
        *,
        namesrv: str | None = None,
        store_path: str | os.PathLike[str] | None = None,
        flush: Flush | None = None,
        name: str | None = None,
        listen_port: int | None = None,
        config: Mapping[str, ConfigValue] | None = None,
        config_file: str | os.PathLike[str] | None = None,
        **options: ConfigValue,
    ) -> None:
        super().__init__()
        keys = broker_keys(namesrv, flush, name, listen_port, config, options)
        store, file = _config.path_of(store_path), _config.path_of(config_file)
        self._opened(_rmq.NativeBroker.start(keys, file, store))

    @property
    def address(self) -> str:
        """The address that clients are given."""
        return self._native.address

    @property
    def name(self) -> str:
        """The broker's name."""
        return self._native.name

    def close(self, timeout: float = 10.0) -> None:
        """Stops it cleanly within `timeout` seconds; nothing that was received is lost."""
        if (raw := self._to_close()) is not None:
            raw.close(timeout)

    def kill(self) -> None:
        """Stops it as a crash would: nothing is flushed, written or unregistered."""
        if (raw := self._to_close()) is not None:
            raw.kill()

    def _end(self) -> None:
        self.close(self._patience)


def name_server_keys(
    listen_port: int,
    config: Mapping[str, ConfigValue] | None,
    config_file: str | os.PathLike[str] | None,
    options: Mapping[str, ConfigValue],
) -> dict[str, str]:
    """Apache's keys for the arguments of a nameserver."""
    named: dict[str, ConfigValue] = {}
    if listen_port or not (config_file or config):
        named["listen_port"] = listen_port
    return _config.keys(config, {**named, **options})


def broker_keys(
    namesrv: str | None,
    flush: str | None,
    name: str | None,
    listen_port: int | None,
    config: Mapping[str, ConfigValue] | None,
    options: Mapping[str, ConfigValue],
) -> dict[str, str]:
    """Apache's keys for the arguments of a broker."""
    named: dict[str, ConfigValue] = {
        "namesrv": namesrv,
        "flush_disk_type": _config.flush_of(flush),
        "broker_name": name,
        "listen_port": listen_port,
    }
    return _config.keys(config, {**named, **options})
