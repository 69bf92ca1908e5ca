"""Messages a second, sent and consumed from Python in each way. For a release build.

    python throughput.py [--messages 200000] [--bytes 128] [NAMESRV]

Without a nameserver the cluster runs in this process, on the same cores.
"""

import argparse
import asyncio
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future

import rmq

IN_FLIGHT = 1000


def told(what: str, messages: int, seconds: float) -> None:
    print(f"{what:32} {messages / seconds:12,.0f} messages/s", flush=True)


def timed(what: str, messages: int, run: Callable[[], None]) -> None:
    began = time.perf_counter()
    run()
    told(what, messages, time.perf_counter() - began)


def send_sync(producer: rmq.Producer, message: rmq.Message, messages: int) -> None:
    for _ in range(messages):
        producer.send(message)


def send_futures(producer: rmq.Producer, message: rmq.Message, messages: int) -> None:
    under_way: deque[Future[rmq.SendResult]] = deque()
    for _ in range(messages):
        under_way.append(producer.send_async(message))
        if len(under_way) >= IN_FLIGHT:
            under_way.popleft().result()
    for future in under_way:
        future.result()


def send_batches(producer: rmq.Producer, message: rmq.Message, messages: int) -> None:
    batch = [message] * 100
    for _ in range(messages // 100):
        producer.send_batch(batch)


async def send_asyncio(namesrv: str, message: rmq.Message, messages: int) -> None:
    async with rmq.aio.Producer("throughput", namesrv) as producer:
        async def some(count: int) -> None:
            for _ in range(count):
                await producer.send(message)

        workers = 500
        began = time.perf_counter()
        await asyncio.gather(*(some(messages // workers) for _ in range(workers)))
        told("send, asyncio, 500 tasks", messages, time.perf_counter() - began)


def consume_iterator(namesrv: str, messages: int) -> None:
    with rmq.PushConsumer("iterator", namesrv, "throughput", start_from="first") as consumer:
        left = messages
        for delivery in consumer:
            delivery.ack()
            left -= 1
            if left == 0:
                return


def consume_callback(namesrv: str, messages: int) -> None:
    count = 0

    def handle(delivery: rmq.Delivery) -> None:
        nonlocal count
        count += 1
        if count == messages:
            consumer.close()

    with rmq.PushConsumer("callback", namesrv, "throughput", start_from="first") as consumer:
        consumer.run(handle)


def consume_pull(namesrv: str, messages: int) -> None:
    with rmq.PullConsumer("pull", namesrv, "throughput", start_from="first") as consumer:
        left = messages
        while left > 0:
            left -= len(consumer.poll(1000))


async def consume_asyncio(namesrv: str, messages: int) -> None:
    consumer = rmq.aio.PushConsumer("asyncio", namesrv, "throughput", start_from="first")
    async with consumer:
        left = messages
        async for delivery in consumer:
            delivery.ack()
            left -= 1
            if left == 0:
                return


def measure(namesrv: str, messages: int, size: int) -> None:
    message = rmq.Message("throughput", b"x" * size)
    with rmq.Admin(namesrv) as admin:
        admin.create_topic("throughput", queues=4)
    with rmq.Producer("throughput", namesrv, send_timeout=30) as producer:
        few = max(1, messages // 10)
        timed("send, waiting for each", few, lambda: send_sync(producer, message, few))
        timed("send, futures", messages, lambda: send_futures(producer, message, messages))
        timed("send, batches of 100", messages, lambda: send_batches(producer, message, messages))
    asyncio.run(send_asyncio(namesrv, message, messages))
    timed("consume, iterator", messages, lambda: consume_iterator(namesrv, messages))
    timed("consume, callback", messages, lambda: consume_callback(namesrv, messages))
    timed("consume, pull", messages, lambda: consume_pull(namesrv, messages))
    timed("consume, asyncio", messages, lambda: asyncio.run(consume_asyncio(namesrv, messages)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=200_000)
    parser.add_argument("--bytes", type=int, default=128)
    parser.add_argument("namesrv", nargs="?")
    given = parser.parse_args()
    if given.namesrv:
        measure(given.namesrv, given.messages, given.bytes)
        return
    with rmq.testing.Cluster(config={"mappedFileSizeCommitLog": 256 << 20}) as cluster:
        measure(cluster.namesrv, given.messages, given.bytes)


if __name__ == "__main__":
    main()
