"""rmq for asyncio, without threads of Python in between.

    async with rmq.aio.Producer("g", namesrv) as producer:
        await producer.send(rmq.Message("T", b"hello"))

    async with rmq.aio.PushConsumer("c", namesrv, "T") as consumer:
        async for delivery in consumer:
            with delivery:
                await handle(delivery.body)

Handles are started by ``async with`` or ``await``. The running loop watches descriptors of the
native library (`loop.add_reader`). Every wait can be cancelled.
"""

from rmq.aio._admin import Admin
from rmq.aio._consumer import PullConsumer, PushConsumer
from rmq.aio._producer import Producer
from rmq.aio._servers import Broker, Cluster, NameServer

__all__ = [
    "Admin",
    "Broker",
    "Cluster",
    "NameServer",
    "Producer",
    "PullConsumer",
    "PushConsumer",
]
