"""Administration from an event loop."""

import json
from collections.abc import Callable, Mapping
from typing import Any, cast

from rmq import _rmq
from rmq._admin import (
    PERM_READ,
    PERM_WRITE,
    AdminView,
    BrokerInfo,
    GroupOffsets,
    QueueOffsets,
    TopicRoute,
    brokers_of,
)
from rmq._rmq import MessageQueue, ReceivedMessage
from rmq.aio import _hub
from rmq.aio._hub import AsyncHandle


class Admin(AsyncHandle["_rmq.NativeAdmin"], AdminView):
    """`rmq.Admin` for asyncio. Each call runs on a thread of the native library."""

    async def _start(self) -> None:
        self._opened(self._begin())

    async def _ask(self, call: Callable[[_rmq.NativeAdmin, _rmq.Ticket], object]) -> Any:
        native = self._native
        return await _hub.begin(lambda ticket: call(native, ticket))

    async def brokers(self) -> list[BrokerInfo]:
        """The brokers that are registered."""
        return brokers_of(await self._ask(lambda native, ticket: native.clusters(ticket)))

    async def topics(self) -> list[str]:
        """The names of all topics."""
        return cast(list[str], await self._ask(lambda native, ticket: native.topics(ticket)))

    async def route(self, topic: str) -> list[TopicRoute]:
        """Which brokers have a topic."""
        routes = await self._ask(lambda native, ticket: native.route(topic, ticket))
        return [TopicRoute(*route) for route in routes]

    async def create_topic(
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
        await self._ask(
            lambda native, ticket: native.create_topic(
                topic, read, queues, perm, order, told, ticket
            )
        )

    async def delete_topic(self, topic: str) -> None:
        """Deletes a topic with its messages, everywhere."""
        await self._ask(lambda native, ticket: native.delete_topic(topic, ticket))

    async def create_group(
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
        await self._ask(
            lambda native, ticket: native.create_group(
                group, retry_max_times, retry_queues, enabled, broadcast, orderly, ticket
            )
        )

    async def delete_group(self, group: str) -> None:
        """Deletes a consumer group with its offsets, on every master."""
        await self._ask(lambda native, ticket: native.delete_group(group, ticket))

    async def topic_offsets(self, topic: str) -> list[QueueOffsets]:
        """First and end offset of every queue of a topic."""
        told = await self._ask(lambda native, ticket: native.topic_offsets(topic, ticket))
        return [QueueOffsets(*offsets) for offsets in told]

    async def group_offsets(self, group: str, topic: str) -> list[GroupOffsets]:
        """How far a group has come with a topic."""
        told = await self._ask(lambda native, ticket: native.group_offsets(group, topic, ticket))
        return [GroupOffsets(*offsets) for offsets in told]

    async def reset_offsets(
        self, group: str, topic: str, timestamp_ms: int
    ) -> dict[MessageQueue, int]:
        """Has a connected group go on with what was stored at a time or later; -1 is the end."""
        told = await self._ask(
            lambda native, ticket: native.reset_offsets(group, topic, timestamp_ms, ticket)
        )
        return dict(told)

    async def message_at(self, offset_msg_id: str) -> ReceivedMessage:
        """The message that is stored at a place: `SendResult.offset_msg_id`."""
        found = await self._ask(lambda native, ticket: native.message_at(offset_msg_id, ticket))
        return cast(ReceivedMessage, found)

    async def messages_by_key(self, topic: str, key: str, max: int = 32) -> list[ReceivedMessage]:
        """The messages of a topic that have a key, at most `max` of each broker."""
        found = await self._ask(lambda native, ticket: native.messages(topic, key, max, ticket))
        return cast(list[ReceivedMessage], found)

    async def messages_by_id(self, topic: str, msg_id: str) -> list[ReceivedMessage]:
        """The messages of a topic that have a unique id: `SendResult.msg_id`."""
        found = await self._ask(lambda native, ticket: native.messages(topic, msg_id, None, ticket))
        return cast(list[ReceivedMessage], found)

    async def invoke(self, command: str, arguments: Mapping[str, Any] | None = None) -> Any:
        """Runs a command of ``mqadmin`` by its name, as `rmq.Admin.invoke`."""
        given = json.dumps(arguments or {})
        told = await self._ask(lambda native, ticket: native.invoke(command, given, ticket))
        return json.loads(told)
