"""Servers and clusters, started and closed without blocking the loop."""

from rmq import _rmq, testing
from rmq._servers import BrokerView, NameServerView
from rmq.aio import _hub
from rmq.aio._hub import AsyncHandle


class NameServer(AsyncHandle["_rmq.NativeNameServer"], NameServerView):
    """`rmq.NameServer` for asyncio."""


class Broker(AsyncHandle["_rmq.NativeBroker"], BrokerView):
    """`rmq.Broker` for asyncio."""


class Cluster(AsyncHandle["_rmq.NativeCluster"], testing.ClusterView):
    """`rmq.testing.Cluster` for asyncio."""

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
