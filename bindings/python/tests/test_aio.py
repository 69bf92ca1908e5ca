"""The asyncio side."""

import asyncio
import gc
import os
import time
import weakref
from collections.abc import Awaitable, Callable

import pytest
from conftest import Script

import rmq

COUNT = int(os.environ.get("RMQ_TEST_MESSAGES", "100000"))
LONG = 20.0


def consumer_of(
    cluster: rmq.testing.Cluster | rmq.aio.Cluster, topic: str
) -> rmq.aio.PushConsumer:
    return rmq.aio.PushConsumer(f"c_{topic}", cluster.namesrv, topic, start_from="first")


async def some(consumer: rmq.aio.PushConsumer, count: int) -> list[bytes]:
    bodies = []
    async for delivery in consumer:
        with delivery:
            bodies.append(delivery.body)
        if len(bodies) == count:
            break
    return bodies


def test_servers_and_clusters() -> None:
    async def main() -> None:
        async with (
            rmq.aio.NameServer() as nameserver,
            rmq.aio.Broker(namesrv=nameserver.address, store_path=":memory:") as broker,
            rmq.aio.Producer("g", nameserver.address) as producer,
            rmq.aio.Admin(nameserver.address) as admin,
        ):
            assert nameserver.port
            assert (await admin.brokers())[0].address == broker.address
            sent = await producer.send(rmq.Message("T", b"x"))
            assert (await admin.message_at(sent.offset_msg_id)).body == b"x"
        assert broker.closed
        cluster = await rmq.aio.Cluster(masters=2)
        await cluster.kill("broker-a")
        assert not cluster.is_running("broker-a")
        await cluster.start_member("broker-a")
        await cluster.await_ready()
        await cluster.close()
        with pytest.raises(rmq.ClosedError):
            await cluster.kill("broker-a")
        with pytest.raises(rmq.ConfigError):
            await rmq.aio.Broker(broker_nam="x")

    asyncio.run(main())


def test_sending(shared: rmq.testing.Cluster, topic: str) -> None:
    async def main() -> None:
        async with rmq.aio.Producer("g", shared.namesrv, max_in_flight=50) as producer:
            queues = await producer.queues(topic)
            sent = await producer.send(rmq.Message(topic, b"x"), queue=queues[1])
            assert sent.queue == queues[1]
            # More than may be under way: they wait for each other.
            many = await asyncio.gather(
                *(producer.send(rmq.Message(topic, b"x")) for _ in range(500))
            )
            assert len({sent.msg_id for sent in many}) == 500
            await producer.send_batch([rmq.Message(topic, b"x")] * 3)
            producer.send_oneway(rmq.Message(topic, b"x"))
            await producer.flush()
            with pytest.raises(rmq.InvalidError):
                await producer.send(rmq.Message("a topic", b"x"))
        with pytest.raises(rmq.ClosedError):
            await producer.send(rmq.Message(topic, b"x"))

    asyncio.run(main())


def test_transactions(shared: rmq.testing.Cluster, topic: str) -> None:
    asked: list[bytes] = []

    async def main() -> None:
        async def check(message: rmq.ReceivedMessage) -> rmq.TransactionState:
            await producer.send(rmq.Message(topic, b"from the checker"))
            asked.append(message.body)
            return rmq.TransactionState.COMMIT

        async def commit(sent: rmq.SendResult) -> rmq.TransactionState:
            await asyncio.sleep(0)
            return rmq.TransactionState.COMMIT

        async with (
            rmq.aio.Producer(topic, shared.namesrv, checker=check) as producer,
            rmq.aio.Admin(shared.namesrv) as admin,
        ):
            ended = await producer.send_in_transaction(rmq.Message(topic, b"half"), commit)
            assert ended.state == rmq.TransactionState.COMMIT
            await producer.send_in_transaction(
                rmq.Message(topic, b"asked"), lambda sent: rmq.TransactionState.UNKNOWN
            )
            while sum(queue.end for queue in await admin.topic_offsets(topic)) < 3:
                shared.advance(1.0)
                await asyncio.sleep(0.01)
        assert set(asked) == {b"asked"}

    asyncio.run(main())


def test_consuming(shared: rmq.testing.Cluster, producer: rmq.Producer, topic: str) -> None:
    for i in range(100):
        producer.send_async(rmq.Message(topic, f"{i}"))
    producer.flush()

    async def main() -> None:
        consumer = consumer_of(shared, topic)
        async with consumer:
            bodies = await some(consumer, 40)
            # Two tasks share the rest.
            rest = await asyncio.gather(some(consumer, 30), some(consumer, 30))
            bodies += rest[0] + rest[1]
            assert set(bodies) == {f"{i}".encode() for i in range(100)}
            assert await consumer.poll(timeout=0.01) == []
            waiting = asyncio.create_task(some(consumer, 1))
            await asyncio.sleep(0.01)
        assert await waiting == []

    asyncio.run(main())


def test_run_and_reply(shared: rmq.testing.Cluster, topic: str) -> None:
    failed: list[bytes] = []

    async def main() -> None:
        async with (
            consumer_of(shared, topic) as consumer,
            rmq.aio.Producer("g", shared.namesrv) as producer,
        ):

            async def answer(delivery: rmq.Delivery) -> None:
                if delivery.body == b"fail":
                    failed.append(delivery.body)
                    raise RuntimeError("on purpose")
                await producer.send(delivery.reply(delivery.body + b"!"))

            running = asyncio.create_task(consumer.run(answer, concurrency=4))
            await producer.send(rmq.Message(topic, b"fail"))
            replies = await asyncio.gather(
                *(producer.request(rmq.Message(topic, f"{i}"), timeout=LONG) for i in range(20))
            )
            assert [reply.body for reply in replies] == [f"{i}!".encode() for i in range(20)]
            while not failed:
                await asyncio.sleep(0.01)
            await consumer.close()
            await running

    asyncio.run(main())


def test_pulling(shared: rmq.testing.Cluster, producer: rmq.Producer, topic: str) -> None:
    queues = producer.queues(topic)

    async def main() -> None:
        group = f"c_{topic}"
        async with rmq.aio.PullConsumer(group, shared.namesrv, auto_commit=False) as consumer:
            assert await consumer.queues(topic) == queues
            await consumer.assign(queues[:1])
            assert await consumer.poll(timeout=0.05) == []
            waiting = asyncio.create_task(consumer.poll(timeout=LONG))
            await asyncio.sleep(0.05)
            producer.send(rmq.Message(topic, b"x"), queue=queues[0])
            assert [message.body for message in await waiting] == [b"x"]
            await consumer.commit()
            assert await consumer.committed(queues[0]) == 1
            await consumer.seek(queues[0], "begin")
            async for message in consumer:
                assert message.body == b"x"
                break
            assert await consumer.offset_at(queues[0], 0) == 0
            waiting = asyncio.create_task(consumer.poll(timeout=None))
            await asyncio.sleep(0.01)
        with pytest.raises(rmq.ClosedError):
            await waiting

    asyncio.run(main())


Wait = Callable[[rmq.aio.Cluster, rmq.aio.Producer, rmq.aio.PushConsumer], Awaitable[object]]
MESSAGE = rmq.Message("T", b"x")
WAITS: dict[str, Wait] = {
    "send": lambda cluster, producer, consumer: producer.send(MESSAGE),
    "send_batch": lambda cluster, producer, consumer: producer.send_batch([MESSAGE]),
    "request": lambda cluster, producer, consumer: producer.request(MESSAGE, timeout=60),
    "transaction": lambda cluster, producer, consumer: producer.send_in_transaction(
        MESSAGE, lambda sent: rmq.TransactionState.COMMIT
    ),
    "flush": lambda cluster, producer, consumer: producer.flush(60),
    "queues": lambda cluster, producer, consumer: producer.queues("U"),
    "poll": lambda cluster, producer, consumer: consumer.poll(),
    "iterate": lambda cluster, producer, consumer: some(consumer, 1),
    "run": lambda cluster, producer, consumer: consumer.run(lambda delivery: None, concurrency=3),
    "subscribe": lambda cluster, producer, consumer: consumer.subscribe("U"),
    "await_ready": lambda cluster, producer, consumer: cluster.await_ready(60),
    "start": lambda cluster, producer, consumer: rmq.aio.Cluster().start(),
    "broker": lambda cluster, producer, consumer: rmq.aio.Broker(namesrv=cluster.namesrv).start(),
}
# What may be over before it is cancelled.
QUICK = ["start", "broker", "subscribe", "queues", "await_ready"]


def test_every_wait_can_be_cancelled() -> None:
    async def main() -> None:
        async with (
            rmq.aio.Cluster() as cluster,
            rmq.aio.Producer("g", cluster.namesrv, send_timeout=60) as producer,
        ):
            await producer.send(MESSAGE)
            async with consumer_of(cluster, "T") as consumer:
                await some(consumer, 1)
                cluster.pause("broker-a")
                cluster.pause("namesrv-0")
                under_way = asyncio.ensure_future(producer.send(MESSAGE))
                for name, wait in WAITS.items():
                    for delay in (0.0, 0.02):
                        task = asyncio.ensure_future(wait(cluster, producer, consumer))
                        await asyncio.sleep(delay)
                        began = time.monotonic()
                        if task.cancel():
                            with pytest.raises(asyncio.CancelledError):
                                await task
                        assert name in QUICK or task.cancelled(), name
                        assert time.monotonic() - began < 5, name
                cluster.resume("namesrv-0")
                cluster.resume("broker-a")
                # Nothing that was cancelled took a message along.
                await under_way
                await producer.send(rmq.Message("T", b"last"))
                while b"last" not in await some(consumer, 1):
                    pass

    asyncio.run(main())


def test_cancelled_waits_lose_no_message(
    shared: rmq.testing.Cluster, producer: rmq.Producer, topic: str
) -> None:
    async def main() -> None:
        async with consumer_of(shared, topic) as consumer:
            seen: set[bytes] = set()

            async def one() -> None:
                async for delivery in consumer:
                    with delivery:
                        seen.add(delivery.body)

            for turn in range(200):
                task = asyncio.create_task(one())
                producer.send_oneway(rmq.Message(topic, f"{turn}"))
                await asyncio.sleep(0.0005 * (turn % 5))
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            task = asyncio.create_task(one())
            async with asyncio.timeout(LONG):
                while len(seen) < 200:
                    await asyncio.sleep(0.01)
            task.cancel()

    asyncio.run(main())


def test_loops_follow_each_other(shared: rmq.testing.Cluster, topic: str) -> None:
    async def main() -> None:
        async with rmq.aio.Producer("g", shared.namesrv) as producer:
            await producer.send(rmq.Message(topic, b"x"))

    descriptors = 0
    for turn in range(30):
        asyncio.run(main())
        gc.collect()
        if turn == 5:
            descriptors = len(os.listdir("/proc/self/fd"))
    assert len(os.listdir("/proc/self/fd")) <= descriptors + 2


def test_a_checker_is_let_go_of(shared: rmq.testing.Cluster) -> None:
    async def main() -> "weakref.ref[object]":
        async def check(message: rmq.ReceivedMessage) -> rmq.TransactionState:
            return rmq.TransactionState.UNKNOWN

        async with rmq.aio.Producer("g", shared.namesrv, checker=check):
            return weakref.ref(check)

    kept = asyncio.run(main())
    gc.collect()
    assert kept() is None


def test_many_messages(shared: rmq.testing.Cluster, topic: str) -> None:
    async def main() -> None:
        async with rmq.aio.Producer("g", shared.namesrv) as producer:
            batches = [range(at, min(at + 500, COUNT)) for at in range(0, COUNT, 500)]
            for numbers in batches:
                await producer.send_batch([rmq.Message(topic, f"{i}") for i in numbers])
        seen: set[int] = set()
        async with consumer_of(shared, topic) as consumer:
            async for delivery in consumer:
                with delivery:
                    seen.add(int(delivery.body))
                if len(seen) == COUNT:
                    break

    asyncio.run(main())


def test_everything_left_open_at_the_end(script: Script) -> None:
    ended = script(
        """
import asyncio, rmq
kept = []
async def main():
    cluster = await rmq.aio.Cluster()
    producer = await rmq.aio.Producer("g", cluster.namesrv, checker=lambda m: None)
    consumer = await rmq.aio.PushConsumer("c", cluster.namesrv, "T")
    puller = await rmq.aio.PullConsumer("p", cluster.namesrv, "T")
    kept.extend([cluster, producer, consumer, puller])
    tasks = [asyncio.ensure_future(producer.send(rmq.Message("T", b"x"))) for _ in range(1000)]
    tasks.append(asyncio.ensure_future(consumer.poll()))
    tasks.append(asyncio.ensure_future(puller.poll(timeout=None)))
    await asyncio.sleep(0.01)
asyncio.run(main())
print("end")
"""
    )
    assert ended.stdout == "end\n"
