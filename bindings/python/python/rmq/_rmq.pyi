from collections.abc import Iterable
from datetime import datetime
from typing import Any, ClassVar, Final, Self, final

from typing_extensions import Buffer, disjoint_base

__version__: Final[str]

__all__ = [
    "Completions",
    "Delivery",
    "Message",
    "MessageQueue",
    "NativeAdmin",
    "NativeBroker",
    "NativeCluster",
    "NativeNameServer",
    "NativeProducer",
    "NativePullConsumer",
    "NativePushConsumer",
    "ReceivedMessage",
    "SendResult",
    "SendStatus",
    "Ticket",
    "TransactionCheck",
    "TransactionState",
    "__version__",
    "end_waits",
    "log_start",
    "log_take",
    "standalone_items",
    "version",
]

def version() -> str:
    """The version of the native library."""

def end_waits(timeout: float | None = None) -> bool:
    """Has every wait end, and waits for that; None allows waits again."""

def log_start(level: int) -> None:
    """Begins to keep log records; 0 ends it."""

def log_take(timeout: float) -> tuple[list[tuple[int, str, str]], int]:
    """The records that wait, and how many were dropped."""

def standalone_items(
    broker: bool, keys: dict[str, str], file: str | None = None, important_only: bool = False
) -> tuple[list[tuple[str, str]], list[str], int]:
    """The configuration of a command: items, warnings, seconds that a stop may take."""

@final
class Completions:
    """Where operations that nobody waits for put what came of them."""

    def __new__(cls) -> Completions: ...
    def fileno(self) -> int:
        """The descriptor that is readable while something waits."""
    def ticket(self, token: int) -> Ticket:
        """A ticket for one operation."""
    def take(self, max: int = 1024) -> list[tuple[int, bool, Any]] | None:
        """What waits: token, whether the value is an exception, value. None once closed."""
    def wait(self, timeout: float, max: int = 1024) -> list[tuple[int, bool, Any]] | None:
        """As `take`, but waits for the first."""
    def close(self) -> None:
        """Takes nothing more; who waits is told."""

@final
class Ticket:
    """The right to put one outcome into a `Completions`."""

@final
class Message:
    """A message to send. It does not change."""

    def __new__(
        cls,
        topic: str,
        body: Buffer | str | None = None,
        *,
        tags: str | None = None,
        keys: str | Iterable[str] | None = None,
        properties: dict[str, str] | None = None,
        sharding_key: str | None = None,
        delay_level: int | None = None,
        delay: float | None = None,
        deliver_at: float | datetime | None = None,
        flag: int = 0,
    ) -> Message: ...
    @property
    def topic(self) -> str:
        """The topic."""
    @property
    def body(self) -> bytes:
        """The body, copied into an object of Python's."""
    @property
    def body_view(self) -> memoryview:
        """The body as it lies in memory; the view keeps it alive."""
    @property
    def tags(self) -> str | None:
        """The tag."""
    @property
    def keys(self) -> list[str]:
        """The keys that the message is found by."""
    @property
    def properties(self) -> dict[str, str]:
        """The properties, the well-known ones among them; a copy."""
    @property
    def sharding_key(self) -> str | None:
        """The key whose messages all go to one queue."""
    @property
    def delay_level(self) -> int:
        """The delay level; 0 without one."""
    @property
    def flag(self) -> int:
        """A number for the program's own use."""
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __getnewargs_ex__(self) -> tuple[tuple[str, bytes], dict[str, Any]]: ...

@final
class MessageQueue:
    """One queue of a topic on one broker."""

    def __new__(cls, topic: str, broker_name: str, queue_id: int) -> MessageQueue: ...
    @property
    def topic(self) -> str:
        """The topic."""
    @property
    def broker_name(self) -> str:
        """The broker's name."""
    @property
    def queue_id(self) -> int:
        """The number of the queue at that broker."""
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __lt__(self, other: MessageQueue, /) -> bool: ...
    def __le__(self, other: MessageQueue, /) -> bool: ...
    def __gt__(self, other: MessageQueue, /) -> bool: ...
    def __ge__(self, other: MessageQueue, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __getnewargs__(self) -> tuple[str, str, int]: ...

@disjoint_base
class ReceivedMessage:
    """A message from a broker. It does not change."""

    @property
    def topic(self) -> str:
        """The topic it was sent to."""
    @property
    def body(self) -> bytes:
        """The body, copied into an object of Python's."""
    @property
    def body_view(self) -> memoryview:
        """The body as it lies in the receive buffer; the view keeps it alive."""
    @property
    def tags(self) -> str | None:
        """The tag."""
    @property
    def keys(self) -> list[str]:
        """The keys that the message is found by."""
    @property
    def properties(self) -> dict[str, str]:
        """The properties, the well-known ones among them; a copy."""
    @property
    def flag(self) -> int:
        """A number for the program's own use."""
    @property
    def msg_id(self) -> str:
        """The id that the sender gave it."""
    @property
    def offset_msg_id(self) -> str:
        """The id that says where it is stored."""
    @property
    def queue_id(self) -> int:
        """The number of its queue."""
    @property
    def queue_offset(self) -> int:
        """Its offset in the queue."""
    @property
    def born_timestamp_ms(self) -> int:
        """When it was made, ms since the epoch."""
    @property
    def born_host(self) -> str:
        """Where it was made: address and port."""
    @property
    def store_timestamp_ms(self) -> int:
        """When it was stored, ms since the epoch."""
    @property
    def store_host(self) -> str:
        """The broker that stored it: address and port."""
    @property
    def reconsume_times(self) -> int:
        """How often it was consumed before."""
    def reply(self, body: Buffer | str) -> Message:
        """The message that answers this one, if its sender waits for an answer.

        Any producer sends it. `InvalidError`: nobody waits.
        """

@final
class SendStatus:
    """How safely a message is stored."""

    OK: ClassVar[SendStatus]
    FLUSH_DISK_TIMEOUT: ClassVar[SendStatus]
    FLUSH_SLAVE_TIMEOUT: ClassVar[SendStatus]
    SLAVE_NOT_AVAILABLE: ClassVar[SendStatus]
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class SendResult:
    """What became of a message."""

    @property
    def status(self) -> SendStatus:
        """How safely it is stored."""
    @property
    def msg_id(self) -> str:
        """Its unique id; of a batch, all of them joined by commas."""
    @property
    def offset_msg_id(self) -> str:
        """The id that says where it is stored; of a batch, all of them joined by commas."""
    @property
    def queue(self) -> MessageQueue:
        """The queue it is in."""
    @property
    def queue_offset(self) -> int:
        """Its offset there; of a batch, that of the first message."""
    @property
    def transaction_id(self) -> str | None:
        """The transaction's id, of a half message."""
    @property
    def recall_handle(self) -> str | None:
        """With it a timed message can be recalled."""

@final
class TransactionState:
    """How a transaction ended."""

    COMMIT: ClassVar[TransactionState]
    ROLLBACK: ClassVar[TransactionState]
    UNKNOWN: ClassVar[TransactionState]
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class TransactionCheck:
    """A broker's question how the transaction of a half message ended."""

    @property
    def message(self) -> ReceivedMessage:
        """The half message."""
    def answer(self, state: TransactionState) -> None:
        """Tells the broker; only the first answer counts."""

@final
class NativeNameServer:
    """A nameserver."""

    @staticmethod
    def start(
        keys: dict[str, str],
        file: str | None = None,
        ticket: Ticket | None = None,
        standalone: bool = False,
    ) -> Any:
        """Starts one with Apache's keys over those of a file."""
    @property
    def address(self) -> str:
        """Where it listens."""
    def close(self, timeout: float, ticket: Ticket | None = None) -> Any:
        """Stops it cleanly."""
    def kill(self) -> None:
        """Stops it as a crash would."""

@final
class NativeBroker:
    """A broker."""

    @staticmethod
    def start(
        keys: dict[str, str],
        file: str | None = None,
        store: str | None = None,
        ticket: Ticket | None = None,
        standalone: bool = False,
    ) -> Any:
        """Starts one with Apache's keys over those of a file."""
    @property
    def address(self) -> str:
        """The address that clients are given."""
    @property
    def name(self) -> str:
        """The broker's name."""
    def close(self, timeout: float, ticket: Ticket | None = None) -> Any:
        """Stops it cleanly."""
    def kill(self) -> None:
        """Stops it as a crash would."""

@final
class NativeCluster:
    """A cluster."""

    @staticmethod
    def start(
        deployment: str,
        masters: int,
        slaves_each: int,
        nameservers: int,
        flush: str,
        name: str,
        auto_create_topics: bool,
        settings: dict[str, str],
        member_settings: dict[str, dict[str, str]],
        store: str | None,
        manual_clock: bool,
        ticket: Ticket | None = None,
    ) -> Any:
        """Starts one."""
    def act(
        self, what: str, timeout: float, member: str = ..., ticket: Ticket | None = None
    ) -> Any:
        """What may take time, by its name."""
    def close(self, timeout: float, ticket: Ticket | None = None) -> Any:
        """Closes every member."""
    @property
    def namesrv(self) -> str:
        """The nameservers as clients take them."""
    def address(self, member: str) -> str:
        """Where clients reach a member."""
    def members(self) -> list[tuple[str, Any, str, str, bool, bool]]:
        """How every member does."""
    def advance(self, seconds: float) -> None:
        """Moves the clock of every member forward."""
    def pause(self, member: str) -> None:
        """Stops a member's traffic."""
    def resume(self, member: str) -> None:
        """Lets a paused member go on."""
    def partition(self, groups: list[list[str]]) -> None:
        """Divides the network."""
    def cut(self, sender: str, receiver: str) -> None:
        """Keeps what one member sends from another."""
    def heal(self) -> None:
        """Ends every partition and cut."""

@final
class NativeProducer:
    """A producer."""

    @staticmethod
    def start(
        keys: dict[str, str], file: str | None = None, checks: Completions | None = None
    ) -> NativeProducer:
        """Starts one."""
    @property
    def client_id(self) -> str:
        """The id that brokers know this producer by."""
    def send(
        self,
        message: Message,
        queue: MessageQueue | None = None,
        sharding_key: str | None = None,
        timeout: float | None = None,
        ticket: Ticket | None = None,
    ) -> Any:
        """Sends one message."""
    def send_oneway(
        self,
        message: Message,
        queue: MessageQueue | None = None,
        sharding_key: str | None = None,
    ) -> None:
        """Sends one message that nobody acknowledges."""
    def send_batch(
        self,
        messages: list[Message],
        timeout: float | None = None,
        ticket: Ticket | None = None,
    ) -> Any:
        """Sends several messages of one topic as one request."""
    def send_half(
        self,
        message: Message,
        queue: MessageQueue | None = None,
        sharding_key: str | None = None,
        timeout: float | None = None,
        ticket: Ticket | None = None,
    ) -> Any:
        """Sends the half message of a transaction."""
    def end_transaction(
        self,
        topic: str,
        sent: SendResult,
        state: TransactionState,
        ticket: Ticket | None = None,
    ) -> Any:
        """Tells the broker how a transaction ended."""
    def request(self, message: Message, timeout: float, ticket: Ticket | None = None) -> Any:
        """Sends a message and waits for the one that its consumer answers with."""
    def recall(self, topic: str, recall_handle: str, ticket: Ticket | None = None) -> Any:
        """Takes back a message that waits for its time."""
    def queues(self, topic: str, ticket: Ticket | None = None) -> Any:
        """The queues that a topic's messages can be sent to."""
    def flush(self, timeout: float, ticket: Ticket | None = None) -> Any:
        """Waits until nothing is under way."""
    def close(self, timeout: float, ticket: Ticket | None = None) -> Any:
        """Closes."""

@final
class NativeAdmin:
    """An admin client."""

    @staticmethod
    def start(keys: dict[str, str], file: str | None = None) -> NativeAdmin:
        """Starts one."""
    def clusters(self, ticket: Ticket | None = None) -> Any:
        """The brokers of each cluster."""
    def topics(self, ticket: Ticket | None = None) -> Any:
        """The names of all topics."""
    def route(self, topic: str, ticket: Ticket | None = None) -> Any:
        """Which brokers have a topic."""
    def create_topic(
        self,
        topic: str,
        read_queues: int,
        write_queues: int,
        perm: int,
        order: bool,
        attributes: dict[str, str],
        ticket: Ticket | None = None,
    ) -> Any:
        """Creates or changes a topic."""
    def delete_topic(self, topic: str, ticket: Ticket | None = None) -> Any:
        """Deletes a topic."""
    def create_group(
        self,
        group: str,
        retry_max_times: int,
        retry_queues: int,
        enabled: bool,
        broadcast: bool,
        orderly: bool,
        ticket: Ticket | None = None,
    ) -> Any:
        """Creates or changes a consumer group."""
    def delete_group(self, group: str, ticket: Ticket | None = None) -> Any:
        """Deletes a consumer group."""
    def topic_offsets(self, topic: str, ticket: Ticket | None = None) -> Any:
        """First and last offset of every queue of a topic."""
    def group_offsets(self, group: str, topic: str, ticket: Ticket | None = None) -> Any:
        """How far a group has come with a topic."""
    def reset_offsets(
        self, group: str, topic: str, timestamp_ms: int, ticket: Ticket | None = None
    ) -> Any:
        """Has a connected group go on at a time."""
    def message_at(self, offset_msg_id: str, ticket: Ticket | None = None) -> Any:
        """The message that is stored at a place."""
    def messages(
        self, topic: str, key: str, max: int | None = None, ticket: Ticket | None = None
    ) -> Any:
        """The messages of a topic with a key or an id."""
    def invoke(self, command: str, arguments: str, ticket: Ticket | None = None) -> Any:
        """Runs a command of `mqadmin`: JSON in, JSON out."""
    def close(self, timeout: float, ticket: Ticket | None = None) -> Any:
        """Ends its connections."""

@final
class Delivery(ReceivedMessage):
    """A message that a consumer was given, until it answers for it.

    Any thread may do that; one that is let go of without an answer comes again later. As a context
    manager it is acknowledged at the end of its block, and comes again later if the block raises.
    """

    @property
    def broker_name(self) -> str | None:
        """The name of the broker that it came from; None if an operator sent it."""
    @property
    def queue(self) -> MessageQueue | None:
        """The queue that it came from; None if an operator sent it."""
    def ack(self) -> bool:
        """The message is done with. False if it was answered for before, or it is too late."""
    def later(self, delay_level: int = 0) -> bool:
        """The message is to come again. False as for `ack`.

        Without a level the later, the more often it came before; below 0 it becomes a dead letter.
        In order the queue rests a moment and begins with it again.
        """
    def __enter__(self) -> Self: ...
    def __exit__(self, kind: Any, _error: Any, _traceback: Any) -> None: ...

@final
class NativePushConsumer:
    """A push consumer."""

    @staticmethod
    def start(
        keys: dict[str, str],
        file: str | None,
        wanted: list[tuple[str, str, bool]],
        orderly: bool,
        ticket: Ticket | None = None,
    ) -> Any:
        """Starts one."""
    @property
    def client_id(self) -> str:
        """The id that brokers know this consumer by."""
    def queues(self) -> list[MessageQueue]:
        """The queues that it has now."""
    def fileno(self) -> int:
        """The descriptor that is readable while something waits."""
    def take(self, max: int) -> list[Delivery]:
        """What waits, without waiting."""
    def poll(self, timeout: float, max: int = 1, takers: int = 1) -> list[Delivery]:
        """A share of what waits; waits for the first."""
    def subscribe(self, wanted: tuple[str, str, bool], ticket: Ticket | None = None) -> Any:
        """Takes a topic more, or another choice of one."""
    def unsubscribe(self, topic: str, ticket: Ticket | None = None) -> Any:
        """Takes no more of a topic."""
    def suspend(self) -> None:
        """Takes nothing until `resume`."""
    def resume(self) -> None:
        """Goes on after `suspend`."""
    def close(self, timeout: float, ticket: Ticket | None = None) -> Any:
        """Closes."""

@final
class NativePullConsumer:
    """A pull consumer."""

    @staticmethod
    def start(
        keys: dict[str, str],
        file: str | None = None,
        wanted: list[tuple[str, str, bool]] = ...,
        ticket: Ticket | None = None,
    ) -> Any:
        """Starts one."""
    @property
    def client_id(self) -> str:
        """The id that brokers know this consumer by."""
    def subscribe(self, wanted: tuple[str, str, bool], ticket: Ticket | None = None) -> Any:
        """Takes this member's share of a topic."""
    def assign(self, queues: list[MessageQueue], ticket: Ticket | None = None) -> Any:
        """Takes these queues and no others."""
    def assignment(self) -> list[MessageQueue]:
        """The queues that it has now."""
    def queues(self, topic: str, ticket: Ticket | None = None) -> Any:
        """The queues of a topic that can be read."""
    def poll(self, max: int, timeout: float) -> Any:
        """The next messages."""
    def when_ready(self, ticket: Ticket) -> None:
        """Has the ticket's place told when `poll` may have something."""
    def seek(self, queue: MessageQueue, to: int | str, ticket: Ticket | None = None) -> Any:
        """Goes on at an offset of a queue, or at its "begin" or "end"."""
    def pause(self, queues: list[MessageQueue]) -> None:
        """Hands out nothing of these queues until they are resumed."""
    def resume(self, queues: list[MessageQueue]) -> None:
        """Goes on after `pause`."""
    def position(self, queue: MessageQueue) -> int:
        """The offset of the next message that is handed out of a queue."""
    def committed(self, queue: MessageQueue, ticket: Ticket | None = None) -> Any:
        """What the group committed for a queue."""
    def offset_at(
        self, queue: MessageQueue, timestamp_ms: int, ticket: Ticket | None = None
    ) -> Any:
        """The first offset of what was stored at a time or later."""
    def commit(self, timeout: float, ticket: Ticket | None = None) -> Any:
        """Commits what was handed out."""
    def close(self, timeout: float, ticket: Ticket | None = None) -> Any:
        """Closes."""
