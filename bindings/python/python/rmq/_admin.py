"""Looks at a cluster and changes it."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from rmq import _config, _rmq
from rmq._config import ConfigValue
from rmq._handles import Handle, SyncHandle
from rmq._rmq import MessageQueue, ReceivedMessage

PERM_READ = 4
PERM_WRITE = 2


@dataclass(frozen=True)
class BrokerInfo:
    """A broker that is registered; `broker_id` 0 is the master."""

    cluster: str
    broker_name: str
    broker_id: int
    address: str


@dataclass(frozen=True)
class TopicRoute:
    """What one broker has of a topic."""

    broker_name: str
    read_queues: int
    write_queues: int
    perm: int


@dataclass(frozen=True)
class QueueOffsets:
    """What a queue holds: from `first` on, below `end`."""

    queue: MessageQueue
    first: int
    end: int


@dataclass(frozen=True)
class GroupOffsets:
    """How far a group has come with a queue: `consumed` of `end`."""

    queue: MessageQueue
    end: int
    consumed: int

    @property
    def lag(self) -> int:
        """Messages that the group has not consumed."""
        return self.end - self.consumed


def brokers_of(told: dict[str, list[tuple[str, int, str]]]) -> list[BrokerInfo]:
    """The brokers of what the native client told."""
    return [BrokerInfo(cluster, *broker) for cluster, brokers in told.items() for broker in brokers]


class AdminView(Handle["_rmq.NativeAdmin"]):
    """An admin client, before anything is asked."""

    _what = "admin client"

    def __init__(
        self,
        namesrv: str | None = None,
        *,
        timeout: float | None = None,
        config: Mapping[str, ConfigValue] | None = None,
        config_file: str | os.PathLike[str] | None = None,
        **options: ConfigValue,
    ) -> None:
        super().__init__()
        self._keys = _config.keys(config, options)
        if namesrv is not None:
            self._keys["namesrvAddr"] = namesrv
        if timeout is not None:
            self._keys["mqClientApiTimeout"] = str(max(1, round(timeout * 1000)))
        self._file = _config.path_of(config_file)
        self._prepared()

    def _begin(self, ticket: _rmq.Ticket | None = None) -> _rmq.NativeAdmin:
        return _rmq.NativeAdmin.start(self._keys, self._file)


class Admin(SyncHandle["_rmq.NativeAdmin"], AdminView):
    """Looks at a cluster and changes it. Every call asks anew. Any thread may use it.

    Args:
        namesrv: The nameservers: ``host:port``, several separated by ``;``.
        timeout: How long one request to a server may take in seconds.
        config: Keys that all of Apache's Java clients have, with their values.
        **options: Any other key, in Python's spelling.

    Calls raise `InvalidError` for names that no broker would take, `NotFoundError`,
    `UnreachableError`, `Timeout`, and `BrokerError` when a server refused.
    """

    def brokers(self) -> list[BrokerInfo]:
        """The brokers that are registered."""
        return brokers_of(self._native.clusters())

    def topics(self) -> list[str]:
        """The names of all topics."""
        return cast(list[str], self._native.topics())

    def route(self, topic: str) -> list[TopicRoute]:
        """Which brokers have a topic."""
        return [TopicRoute(*route) for route in self._native.route(topic)]

    def create_topic(
        self,
        topic: str,
        queues: int = 8,
        *,
        read_queues: int | None = None,
        perm: int = PERM_READ | PERM_WRITE,
        order: bool = False,
        attributes: Mapping[str, str] | None = None,
    ) -> None:
        """Creates or changes a topic on every master. After an error some may have it."""
        read = queues if read_queues is None else read_queues
        told = {key: str(value) for key, value in (attributes or {}).items()}
        self._native.create_topic(topic, read, queues, perm, order, told)

    def delete_topic(self, topic: str) -> None:
        """Deletes a topic with its messages, everywhere."""
        self._native.delete_topic(topic)

    def create_group(
        self,
        group: str,
        *,
        retry_max_times: int = 16,
        retry_queues: int = 1,
        enabled: bool = True,
        broadcast: bool = True,
        orderly: bool = False,
    ) -> None:
        """Creates or changes a consumer group on every master."""
        self._native.create_group(
            group, retry_max_times, retry_queues, enabled, broadcast, orderly
        )

    def delete_group(self, group: str) -> None:
        """Deletes a consumer group with its offsets, on every master."""
        self._native.delete_group(group)

    def topic_offsets(self, topic: str) -> list[QueueOffsets]:
        """First and end offset of every queue of a topic."""
        return [QueueOffsets(*offsets) for offsets in self._native.topic_offsets(topic)]

    def group_offsets(self, group: str, topic: str) -> list[GroupOffsets]:
        """How far a group has come with a topic."""
        return [GroupOffsets(*offsets) for offsets in self._native.group_offsets(group, topic)]

    def reset_offsets(
        self, group: str, topic: str, timestamp_ms: int
    ) -> dict[MessageQueue, int]:
        """Has a connected group go on with what was stored at a time or later.

        Args:
            group: The consumer group; its members must be connected.
            topic: The topic.
            timestamp_ms: Milliseconds since the epoch; -1 is the end.
        """
        return dict(self._native.reset_offsets(group, topic, timestamp_ms))

    def message_at(self, offset_msg_id: str) -> ReceivedMessage:
        """The message that is stored at a place: `SendResult.offset_msg_id`."""
        return cast(ReceivedMessage, self._native.message_at(offset_msg_id))

    def messages_by_key(self, topic: str, key: str, max: int = 32) -> list[ReceivedMessage]:
        """The messages of a topic that have a key, at most `max` of each broker."""
        return cast(list[ReceivedMessage], self._native.messages(topic, key, max))

    def messages_by_id(self, topic: str, msg_id: str) -> list[ReceivedMessage]:
        """The messages of a topic that have a unique id: `SendResult.msg_id`."""
        return cast(list[ReceivedMessage], self._native.messages(topic, msg_id))

    def invoke(self, command: str, arguments: Mapping[str, Any] | None = None) -> Any:
        """Runs a command of ``mqadmin`` by its name: ``invoke("topicStatus", {"topic": "T"})``.

        Arguments go by their long names; answers what the command tells, as JSON has it.

        Raises:
            InvalidError: No command has that name, or it does not take these arguments.
        """
        told = self._native.invoke(command, json.dumps(arguments or {}))
        return json.loads(told)
