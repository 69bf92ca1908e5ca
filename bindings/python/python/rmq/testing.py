"""Whole clusters in the test process.

    with rmq.testing.Cluster(masters=2, slaves=1) as cluster:
        cluster.kill("broker-a")

Every member has a loopback address of its own and keeps it for life. Members are named
``namesrv-0``, ``broker-a`` (a master), ``broker-a-s`` (its slave), ``broker-a-s2`` (its second).
Whoever connects from 127.0.0.1, which is where clients come from, is ``CLIENTS`` in partitions.
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypedDict, Unpack

from rmq import _config, _rmq
from rmq._config import ConfigValue
from rmq._handles import RANK_SERVER, Handle, SyncHandle
from rmq._servers import Flush

__all__ = ["CLIENTS", "MEMORY", "Cluster", "ClusterOptions", "Member"]

CLIENTS: Final = "clients"
"""The name by which partitions call everybody outside the cluster."""

MEMORY: Final = ":memory:"
"""Stores in memory, as `store_path`."""


@dataclass(frozen=True)
class Member:
    """How a member of a cluster does."""

    name: str
    kind: Literal["namesrv", "broker"]
    address: str
    folder: str
    running: bool
    paused: bool


class ClusterOptions(TypedDict, total=False):
    """What a cluster is started from.

    masters: Masters; one unless told otherwise.
    slaves: Slaves of each master; none unless told otherwise.
    replication: Whether masters wait for a slave before they answer a sender ("sync").
    nameservers: Nameservers; one unless told otherwise.
    flush: When a message counts as stored: "sync" once it is on the disk.
    name: The name of the cluster.
    auto_create_topics: Whether a send to an unknown topic makes it; true unless told otherwise.
    config: Apache's keys for every broker.
    member_config: Apache's keys for single members, by name.
    store_path: A folder that members store below, which is kept; ":memory:" holds it in memory;
        None makes a temporary folder.
    manual_clock: Whether `advance` can move the members' clock.
    """

    masters: int
    slaves: int
    replication: Literal["async", "sync"]
    nameservers: int
    flush: Flush
    name: str
    auto_create_topics: bool
    config: Mapping[str, ConfigValue]
    member_config: Mapping[str, Mapping[str, ConfigValue]]
    store_path: str | os.PathLike[str] | None
    manual_clock: bool


def _start(options: ClusterOptions, ticket: _rmq.Ticket | None) -> Any:
    unknown = options.keys() - ClusterOptions.__annotations__.keys()
    if unknown:
        raise TypeError(f"a Cluster has no option {', '.join(sorted(unknown))}")
    masters, slaves = options.get("masters", 1), options.get("slaves", 0)
    deployment = "single_master" if masters == 1 else "masters"
    if slaves:
        sync = options.get("replication", "async") == "sync"
        deployment = "sync_double_write" if sync else "async_slaves"
    single = options.get("member_config", {})
    return _rmq.NativeCluster.start(
        deployment,
        masters,
        slaves,
        options.get("nameservers", 1),
        options.get("flush", "async"),
        options.get("name", "DefaultCluster"),
        options.get("auto_create_topics", True),
        _config.keys(options.get("config"), {}),
        {member: _config.keys(config, {}) for member, config in single.items()},
        _config.path_of(options.get("store_path")),
        options.get("manual_clock", False),
        ticket,
    )


class ClusterView(Handle["_rmq.NativeCluster"]):
    """What can be done with a cluster without waiting."""

    _what = "cluster"
    _rank = RANK_SERVER
    _patience = 5.0

    def __init__(self, **options: Unpack[ClusterOptions]) -> None:
        super().__init__()
        self._options = options
        self._prepared()

    def _begin(self, ticket: _rmq.Ticket | None = None) -> Any:
        return _start(self._options, ticket)

    @property
    def namesrv(self) -> str:
        """The nameservers as clients take them: ``127.70.1.1:9876``."""
        return self._native.namesrv

    @property
    def members(self) -> list[Member]:
        """How every member does, nameservers first, a master before its slaves."""
        found = self._native.members()
        return [Member(*member) for member in found]

    def address(self, member: str) -> str:
        """Where clients reach a member, whether it runs or not."""
        return self._native.address(member)

    def is_running(self, member: str) -> bool:
        """Whether a member runs."""
        self.address(member)
        return any(one.running for one in self.members if one.name == member)

    def advance(self, seconds: float) -> None:
        """Moves the clock of every member forward: delays that have passed then are over.

        Raises:
            InvalidError: The cluster was not started with `manual_clock`.
        """
        self._native.advance(seconds)

    def pause(self, member: str) -> None:
        """Stops a member's traffic both ways, as if its process was stopped."""
        self._native.pause(member)

    def resume(self, member: str) -> None:
        """Lets a paused member go on."""
        self._native.resume(member)

    def partition(self, *groups: Iterable[str]) -> None:
        """Divides the network: whoever shares no group does not see each other.

        Whoever is in no group belongs to one more; whoever is in several bridges them. Nothing is
        closed: what is sent across waits. It takes the place of all cuts that were there.
        """
        self._native.partition([list(group) for group in groups])

    def cut(self, sender: str, receiver: str) -> None:
        """Keeps what one member sends from another; the other direction stays as it is."""
        self._native.cut(sender, receiver)

    def heal(self) -> None:
        """Ends every partition and cut."""
        self._native.heal()


class Cluster(SyncHandle["_rmq.NativeCluster"], ClusterView):
    """A cluster in this process.

    When the constructor returns every broker is registered with every nameserver, and every slave
    is in sync with its master. `ClusterOptions` has the arguments. `close` ends every member and
    removes temporary storage.

    Raises:
        ConfigError: The options ask for what is no cluster, or a key or value is wrong.
        Timeout: The members did not find each other.
    """

    def reset(self) -> None:
        """Makes the cluster new: all that was stored is removed, everybody starts where they were.

        Clients may stay as they are.
        """
        self._native.act("reset", 0.0)

    def kill(self, member: str) -> None:
        """Ends a member as a crash would: nothing is flushed, answered or unregistered."""
        self._native.act("kill", 0.0, member)

    def close_member(self, member: str, timeout: float = 10.0) -> None:
        """Ends a member cleanly."""
        self._native.act("close_member", timeout, member)

    def start_member(self, member: str) -> None:
        """Starts a member on what it stored before, at the address and port that it had."""
        self._native.act("start_member", 0.0, member)

    def restart(self, member: str, timeout: float = 10.0) -> None:
        """Closes a member if it runs and starts it again."""
        self._native.act("restart", timeout, member)

    def wipe(self, member: str) -> None:
        """Kills a member, if it runs, and removes everything it stored."""
        self._native.act("wipe", 0.0, member)

    def await_ready(self, timeout: float = 30.0) -> None:
        """Waits until every running broker is registered, and every slave in sync."""
        self._native.act("await_ready", timeout)

    def await_replicated(self, timeout: float = 30.0) -> None:
        """Waits until every slave has what its master has now."""
        self._native.act("await_replicated", timeout)
