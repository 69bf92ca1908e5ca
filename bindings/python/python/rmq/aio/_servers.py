"""Servers and clusters, started and closed without blocking the loop."""

import os
from collections.abc import Mapping
from typing import Unpack

from rmq import _config, _rmq, _servers, testing
from rmq._config import ConfigValue
from rmq._handles import RANK_SERVER, Handle
from rmq._servers import Flush
from rmq.aio import _hub
from rmq.aio._hub import AsyncHandle


class NameServer(AsyncHandle, Handle["_rmq.NativeNameServer"]):
    """`rmq.NameServer` for asyncio."""

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
        self._keys = _servers.name_server_keys(listen_port, config, config_file, options)
        self._file = _config.path_of(config_file)

    async def _start(self) -> None:
        start = _rmq.NativeNameServer.start
        self._opened(await _hub.begin(lambda ticket: start(self._keys, self._file, ticket)))

    @property
    def address(self) -> str:
        """Where it listens, as clients take it."""
        return self._native.address

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self.address.rpartition(":")[2])

    async def close(self, timeout: float = 10.0) -> None:
        """Stops it cleanly within `timeout` seconds. A second call does nothing."""
        if (raw := self._to_close()) is not None:
            await _hub.begin(lambda ticket: raw.close(timeout, ticket))

    def kill(self) -> None:
        """Stops it as a crash would."""
        if (raw := self._to_close()) is not None:
            raw.kill()

    def _end(self) -> None:
        if (raw := self._to_close()) is not None:
            raw.close(self._patience)


class Broker(AsyncHandle, Handle["_rmq.NativeBroker"]):
    """`rmq.Broker` for asyncio."""

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
        self._keys = _servers.broker_keys(namesrv, flush, name, listen_port, config, options)
        self._store, self._file = _config.path_of(store_path), _config.path_of(config_file)

    async def _start(self) -> None:
        start, keys, file, store = _rmq.NativeBroker.start, self._keys, self._file, self._store
        self._opened(await _hub.begin(lambda ticket: start(keys, file, store, ticket)))

    @property
    def address(self) -> str:
        """The address that clients are given."""
        return self._native.address

    @property
    def name(self) -> str:
        """The broker's name."""
        return self._native.name

    async def close(self, timeout: float = 10.0) -> None:
        """Stops it cleanly within `timeout` seconds; nothing that was received is lost."""
        if (raw := self._to_close()) is not None:
            await _hub.begin(lambda ticket: raw.close(timeout, ticket))

    def kill(self) -> None:
        """Stops it as a crash would."""
        if (raw := self._to_close()) is not None:
            raw.kill()

    def _end(self) -> None:
        if (raw := self._to_close()) is not None:
            raw.close(self._patience)


class Cluster(AsyncHandle, testing.ClusterView):
    """`rmq.testing.Cluster` for asyncio."""

    def __init__(self, **options: Unpack[testing.ClusterOptions]) -> None:
        super().__init__()
        self._options = options

    async def _start(self) -> None:
        options = self._options
        self._opened(await _hub.begin(lambda ticket: testing.start(options, ticket)))

    async def _act(self, what: str, timeout: float = 0.0, member: str = "") -> None:
        native = self._native
        await _hub.begin(lambda ticket: native.act(what, timeout, member, ticket))

    async def reset(self) -> None:
        """Makes the cluster new."""
        await self._act("reset")

    async def kill(self, member: str) -> None:
        """Ends a member as a crash would."""
        await self._act("kill", 0.0, member)

    async def close_member(self, member: str, timeout: float = 10.0) -> None:
        """Ends a member cleanly."""
        await self._act("close_member", timeout, member)

    async def start_member(self, member: str) -> None:
        """Starts a member on what it stored before, where it was."""
        await self._act("start_member", 0.0, member)

    async def restart(self, member: str, timeout: float = 10.0) -> None:
        """Closes a member if it runs and starts it again."""
        await self._act("restart", timeout, member)

    async def wipe(self, member: str) -> None:
        """Kills a member, if it runs, and removes everything it stored."""
        await self._act("wipe", 0.0, member)

    async def await_ready(self, timeout: float = 30.0) -> None:
        """Waits until every running broker is registered, and every slave in sync."""
        await self._act("await_ready", timeout)

    async def await_replicated(self, timeout: float = 30.0) -> None:
        """Waits until every slave has what its master has now."""
        await self._act("await_replicated", timeout)

    async def close(self, timeout: float = 10.0) -> None:
        """Closes every member and removes temporary storage. A second call does nothing."""
        if (raw := self._to_close()) is not None:
            await _hub.begin(lambda ticket: raw.act("close", timeout, "", ticket))

    def _end(self) -> None:
        if (raw := self._to_close()) is not None:
            raw.act("close", self._patience)
