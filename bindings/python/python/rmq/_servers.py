"""A nameserver and a broker in this process."""

import os
from collections.abc import Mapping
from typing import Any, Literal

from rmq import _config, _rmq
from rmq._config import ConfigValue
from rmq._handles import RANK_SERVER, Handle, SyncHandle

Flush = Literal["async", "sync"]


class NameServerView(Handle["_rmq.NativeNameServer"]):
    """What can be done with a nameserver without waiting."""

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
        named: dict[str, ConfigValue] = {}
        if listen_port or not (config_file or config):
            named["listen_port"] = listen_port
        self._keys = _config.keys(config, {**named, **options})
        self._file = _config.path_of(config_file)
        self._prepared()

    def _begin(self, ticket: _rmq.Ticket | None = None) -> Any:
        return _rmq.NativeNameServer.start(self._keys, self._file, ticket)

    @property
    def address(self) -> str:
        """Where it listens, as clients take it: ``127.0.0.1:9876``."""
        return self._native.address

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self.address.rpartition(":")[2])

    def kill(self) -> None:
        """Stops it as a crash would."""
        if (raw := self._to_close()) is not None:
            raw.kill()


class NameServer(SyncHandle["_rmq.NativeNameServer"], NameServerView):
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


class BrokerView(Handle["_rmq.NativeBroker"]):
    """What can be done with a broker without waiting."""

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
        named: dict[str, ConfigValue] = {
            "namesrv": namesrv,
            "flush_disk_type": _config.flush_of(flush),
            "broker_name": name,
            "listen_port": listen_port,
        }
        self._keys = _config.keys(config, {**named, **options})
        self._store, self._file = _config.path_of(store_path), _config.path_of(config_file)
        self._prepared()

    def _begin(self, ticket: _rmq.Ticket | None = None) -> Any:
        return _rmq.NativeBroker.start(self._keys, self._file, self._store, ticket)

    @property
    def address(self) -> str:
        """The address that clients are given."""
        return self._native.address

    @property
    def name(self) -> str:
        """The broker's name."""
        return self._native.name

    def kill(self) -> None:
        """Stops it as a crash would: nothing is flushed, written or unregistered."""
        if (raw := self._to_close()) is not None:
            raw.kill()


class Broker(SyncHandle["_rmq.NativeBroker"], BrokerView):
    """A broker in this process.

    When the constructor returns, its store is recovered, it accepts requests, and the nameservers
    that could be reached know it. Nothing that it received is lost by `close`.

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
