"""RocketMQ for Python: nameserver, broker and client in your own process.

    import rmq

    with rmq.testing.Cluster() as cluster:
        with rmq.Producer("g", cluster.namesrv) as producer:
            producer.send(rmq.Message("T", b"hello"))
"""

# The log and the thread of futures end after the handles, which register first.
from rmq import _handles as _handles  # isort: skip
from rmq import aio as aio
from rmq import testing as testing
from rmq._admin import Admin, BrokerInfo, GroupOffsets, QueueOffsets, TopicRoute
from rmq._consumer import PullConsumer, PushConsumer, Sql
from rmq._errors import (
    AccessError,
    AddressInUseError,
    BrokerError,
    BusyError,
    ClosedError,
    ConfigError,
    ForkedError,
    InternalError,
    InvalidError,
    LimitError,
    MessageIllegalError,
    NoPermissionError,
    NotFoundError,
    RmqError,
    StoreError,
    SystemBusyError,
    Timeout,
    TopicNotFoundError,
    UnreachableError,
)
from rmq._logging import disable_logging, enable_logging
from rmq._producer import Producer, TransactionResult
from rmq._rmq import (
    Delivery,
    Message,
    MessageQueue,
    ReceivedMessage,
    SendResult,
    SendStatus,
    TransactionState,
    __version__,
    version,
)
from rmq._servers import Broker, NameServer

__all__ = [
    "AccessError",
    "AddressInUseError",
    "Admin",
    "Broker",
    "BrokerInfo",
    "BrokerError",
    "BusyError",
    "ClosedError",
    "ConfigError",
    "Delivery",
    "ForkedError",
    "GroupOffsets",
    "InternalError",
    "InvalidError",
    "LimitError",
    "Message",
    "MessageIllegalError",
    "MessageQueue",
    "NameServer",
    "NoPermissionError",
    "NotFoundError",
    "Producer",
    "PullConsumer",
    "PushConsumer",
    "QueueOffsets",
    "ReceivedMessage",
    "RmqError",
    "SendResult",
    "SendStatus",
    "Sql",
    "StoreError",
    "SystemBusyError",
    "Timeout",
    "TopicNotFoundError",
    "TopicRoute",
    "TransactionResult",
    "TransactionState",
    "UnreachableError",
    "__version__",
    "aio",
    "disable_logging",
    "enable_logging",
    "testing",
    "version",
]
