"""Consuming, pushed and polled."""

import gc
import os
import threading
import time
import weakref
from collections import Counter
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

import rmq

COUNT = int(os.environ.get("RMQ_TEST_MESSAGES", "100000"))


def push(shared: rmq.testing.Cluster, topic: str, **options: object) -> rmq.PushConsumer:
    arguments: Any = {"start_from": "first", **options}
    return rmq.PushConsumer(f"c_{topic}", shared.namesrv, topic, **arguments)


def test_iterate(shared: rmq.testing.Cluster, producer: rmq.Producer, topic: str) -> None:
    sent = producer.send(rmq.Message(topic, b"\x00a", tags="A", keys="k", properties={"p": "v"}))
    with push(shared, topic) as consumer:
        for delivery in consumer:
            with delivery:
                assert delivery.msg_id == sent.msg_id
                assert delivery.queue == sent.queue
                assert delivery.queue_offset == sent.queue_offset
                assert delivery.body == b"\x00a"
                assert bytes(delivery.body_view) == b"\x00a"
                assert (delivery.tags, delivery.keys, delivery.topic) == ("A", ["k"], topic)
                assert delivery.properties["p"] == "v"
                assert delivery.reconsume_times == 0
                assert isinstance(delivery, rmq.ReceivedMessage)
            assert not delivery.ack()
            break
        while len(consumer.queues) < 4:
            time.sleep(0.001)
    with rmq.Admin(shared.namesrv) as admin:
        assert sum(offsets.lag for offsets in admin.group_offsets(f"c_{topic}", topic)) == 0


def test_tags(shared: rmq.testing.Cluster, producer: rmq.Producer, topic: str) -> None:
    for tags in "ABC":
        producer.send(rmq.Message(topic, tags, tags=tags))
    group = f"c_{topic}"
    wanted = {topic: "A || C"}
    with rmq.PushConsumer(group, shared.namesrv, wanted, start_from="first") as consumer:
        seen: set[bytes] = set()
        while seen != {b"A", b"C"}:
            for delivery in consumer.poll(8, timeout=10):
                with delivery:
                    seen.add(delivery.body)
    with pytest.raises(rmq.ConfigError):
        rmq.PushConsumer("g", shared.namesrv)
    with pytest.raises(rmq.InvalidError):
        rmq.PushConsumer("g", shared.namesrv, "a topic")


def test_what_fails_comes_again(
    shared: rmq.testing.Cluster, producer: rmq.Producer, topic: str
) -> None:
    producer.send(rmq.Message(topic, b"x"))
    times = []
    with push(shared, topic) as consumer:
        with pytest.raises(KeyError):
            for delivery in consumer:
                with delivery:
                    raise KeyError("on purpose")
        while True:
            shared.advance(20.0)
            again = consumer.poll(timeout=0.1)
            if not again:
                continue
            times.append(again[0].reconsume_times)
            assert again[0].topic == topic
            if len(times) == 2:
                again[0].ack()
                break
            again[0].later(1)
    assert times == [1, 2]


def test_a_group_at_a_time(
    shared: rmq.testing.Cluster, producer: rmq.Producer, topic: str
) -> None:
    producer.send(rmq.Message(topic, b"x"))
    past = datetime.now(timezone.utc) - timedelta(days=1)
    with push(shared, topic, start_from=past) as consumer:
        (delivery,) = consumer.poll(timeout=10)
        delivery.ack()


def test_run_loses_nothing(
    shared: rmq.testing.Cluster, producer: rmq.Producer, topic: str
) -> None:
    seen: Counter[bytes] = Counter()
    lock = threading.Lock()
    failed: set[bytes] = set()

    def handler(delivery: rmq.Delivery) -> None:
        body = delivery.body
        if body == b"7" and not failed:
            failed.add(body)
            raise RuntimeError("on purpose")
        with lock:
            seen[body] += 1
            if len(seen) == 200:
                # From a handler.
                consumer.close()

    for i in range(200):
        producer.send_async(rmq.Message(topic, f"{i}"))
    with push(shared, topic) as consumer:
        stop = threading.Event()

        def advance() -> None:
            while not stop.wait(0.05):
                shared.advance(10.0)

        clock = threading.Thread(target=advance)
        clock.start()
        try:
            consumer.run(handler, threads=8)
        finally:
            stop.set()
            clock.join()
        assert consumer.closed
    assert set(seen) == {f"{i}".encode() for i in range(200)}


def test_a_handler_is_let_go_of(shared: rmq.testing.Cluster, topic: str) -> None:
    class Handler:
        def __call__(self, delivery: rmq.Delivery) -> None:
            pass

    with push(shared, topic) as consumer:
        handler = Handler()
        kept = weakref.ref(handler)
        thread = threading.Thread(target=consumer.run, args=(handler,))
        del handler
        thread.start()
        time.sleep(0.1)
    thread.join(10)
    del thread
    gc.collect()
    assert kept() is None


def test_orderly(shared: rmq.testing.Cluster, producer: rmq.Producer, topic: str) -> None:
    for i in range(100):
        producer.send(rmq.Message(topic, f"{i}", sharding_key=f"key{i % 3}"))
    by_queue: dict[int, list[int]] = {}
    failures = 0
    with push(shared, topic, orderly=True, suspend_current_queue_time_millis=10) as consumer:
        while sum(map(len, by_queue.values())) < 100:
            for delivery in consumer.poll(8, timeout=10):
                number = int(delivery.body)
                if number == 50 and failures < 2:
                    failures += 1
                    delivery.later()
                    continue
                by_queue.setdefault(delivery.queue_id, []).append(number)
                delivery.ack()
    assert failures == 2
    assert all(numbers == sorted(numbers) for numbers in by_queue.values())


def test_broadcast(shared: rmq.testing.Cluster, producer: rmq.Producer, topic: str) -> None:
    with push(shared, topic, broadcast=True) as one, push(shared, topic, broadcast=True) as other:
        for i in range(20):
            producer.send(rmq.Message(topic, f"{i}"))
        for consumer in (one, other):
            bodies: set[bytes] = set()
            while len(bodies) < 20:
                for delivery in consumer.poll(8, timeout=10):
                    bodies.add(delivery.body)
                    delivery.ack()


def test_close_while_waiting(shared: rmq.testing.Cluster, topic: str) -> None:
    ended: list[str] = []

    def iterate(consumer: rmq.PushConsumer | rmq.PullConsumer) -> None:
        for _ in consumer:
            pass
        ended.append("iterate")

    def poll(consumer: rmq.PushConsumer | rmq.PullConsumer) -> None:
        with pytest.raises(rmq.ClosedError):
            consumer.poll(1, timeout=60)
        ended.append("poll")

    for consumer in (push(shared, topic), rmq.PullConsumer("g", shared.namesrv, topic)):
        threads = [threading.Thread(target=wait, args=(consumer,)) for wait in (iterate, poll)]
        for thread in threads:
            thread.start()
        time.sleep(0.05)
        consumer.close()
        for thread in threads:
            thread.join(10)
    assert sorted(ended) == ["iterate", "iterate", "poll", "poll"]


def test_what_is_not_answered_for_bounds_what_comes(
    shared: rmq.testing.Cluster, producer: rmq.Producer, topic: str
) -> None:
    queue = producer.queues(topic)[0]
    for i in range(60):
        producer.send_async(rmq.Message(topic, f"{i}"), queue=queue)
    producer.flush()
    with push(shared, topic, prefetch=10, pull_batch_size=5) as consumer:
        held: list[rmq.Delivery] = []
        while more := consumer.poll(100, timeout=0.5):
            held.extend(more)
        assert 10 <= len(held) <= 50
        seen = {delivery.body for delivery in held}
        while held or len(seen) < 60:
            for delivery in held:
                delivery.ack()
            held = consumer.poll(100, timeout=10)
            seen.update(delivery.body for delivery in held)


def test_pull(shared: rmq.testing.Cluster, producer: rmq.Producer, topic: str) -> None:
    queues = producer.queues(topic)
    for i in range(40):
        producer.send(rmq.Message(topic, f"{i}"), queue=queues[i % 2])
    group = f"c_{topic}"
    with rmq.PullConsumer(group, shared.namesrv, auto_commit=False, start_from="first") as consumer:
        assert consumer.queues(topic) == queues
        consumer.assign(queues[:1])
        assert consumer.assignment == queues[:1]
        seen: set[bytes] = set()
        while len(seen) < 20:
            seen |= {message.body for message in consumer.poll(8)}
        assert consumer.position(queues[0]) == 20
        assert consumer.committed(queues[0]) in (None, 0)
        consumer.commit()
        assert consumer.committed(queues[0]) == 20
        consumer.seek(queues[0], 15)
        assert len(consumer.poll(100)) == 5
        consumer.seek(queues[0], "begin")
        assert consumer.poll(1)[0].queue_offset == 0
        consumer.seek(queues[0], "end")
        assert consumer.poll(1, timeout=0.05) == []
        assert consumer.offset_at(queues[0], 0) == 0
        consumer.seek(queues[0], 0)
        consumer.pause(queues[:1])
        assert consumer.poll(1, timeout=0.05) == []
        consumer.resume(queues[:1])
        assert consumer.poll(1, timeout=10)
        with pytest.raises(rmq.InvalidError):
            consumer.seek(queues[1], 0)
        with pytest.raises(rmq.InvalidError):
            consumer.subscribe(topic)


def test_request_and_reply(
    shared: rmq.testing.Cluster, producer: rmq.Producer, topic: str
) -> None:
    with push(shared, topic) as consumer:

        def answer(delivery: rmq.Delivery) -> None:
            producer.send(delivery.reply(b"answer to " + delivery.body))

        thread = threading.Thread(target=consumer.run, args=(answer,))
        thread.start()
        reply = producer.request(rmq.Message(topic, b"a question"), timeout=10)
        assert reply.body == b"answer to a question"
        future = producer.request_async(rmq.Message(topic, b"another"), timeout=10)
        assert future.result(10).body == b"answer to another"
        consumer.close()
        thread.join(10)
    with pytest.raises(rmq.InvalidError, match="waits for no reply"):
        with rmq.Admin(shared.namesrv) as admin:
            sent = producer.send(rmq.Message(topic, b"x"))
            admin.message_at(sent.offset_msg_id).reply(b"y")


def fill(producer: rmq.Producer, topic: str) -> None:
    """Sends COUNT messages, each with its number."""
    batch = 500
    for first in range(0, COUNT, batch):
        numbers = range(first, min(first + batch, COUNT))
        producer.send_batch([rmq.Message(topic, f"{i}") for i in numbers])


@pytest.mark.parametrize("way", ["callback", "iterator", "pull"])
def test_many_messages(
    shared: rmq.testing.Cluster, producer: rmq.Producer, topic: str, way: str
) -> None:
    fill(producer, topic)
    seen: set[int] = set()

    def note(delivery: rmq.Delivery) -> None:
        seen.add(int(delivery.body))
        if len(seen) == COUNT:
            consumer.close()

    if way == "pull":
        group = f"c_{topic}"
        with rmq.PullConsumer(group, shared.namesrv, topic, start_from="first") as puller:
            while len(seen) < COUNT:
                seen.update(int(message.body) for message in puller.poll(1000, timeout=10))
        return
    with push(shared, topic) as consumer:
        if way == "callback":
            consumer.run(note, threads=4)
        else:
            for delivery in consumer:
                with delivery:
                    seen.add(int(delivery.body))
                if len(seen) == COUNT:
                    break
    assert len(seen) == COUNT
