"""Sending."""

import asyncio
import gc
import pickle
import threading
import time
import warnings
import weakref
from concurrent.futures import Future, wait
from typing import Any

import pytest

import rmq


@pytest.fixture
def admin(shared: rmq.testing.Cluster) -> rmq.Admin:
    return rmq.Admin(shared.namesrv)


BODIES = [bytes(range(256)), b"\x00", b"x" * (4 << 20)]


@pytest.mark.parametrize("body", BODIES, ids=["every byte", "NUL", "4 MiB"])
def test_bodies_arrive_as_they_are(
    producer: rmq.Producer, admin: rmq.Admin, topic: str, body: bytes
) -> None:
    if len(body) == 4 << 20:
        body = body[:-1]
    with admin:
        sent = producer.send(rmq.Message(topic, body))
        found = admin.message_at(sent.offset_msg_id)
        assert found.body == body
        view = found.body_view
        del found
        gc.collect()
        assert view == body
        assert view.readonly


def test_what_a_message_is() -> None:
    message = rmq.Message(
        "T",
        bytearray(b"abc"),
        tags="A",
        keys=["k1", "k2"],
        properties={"p": "v"},
        sharding_key="s",
        flag=7,
    )
    assert (message.topic, message.body, message.tags) == ("T", b"abc", "A")
    assert message.keys == ["k1", "k2"]
    assert message.properties["p"] == "v"
    assert (message.sharding_key, message.flag, message.delay_level) == ("s", 7, 0)
    assert bytes(message.body_view) == b"abc"
    again = pickle.loads(pickle.dumps(message))
    assert again == message
    assert hash(again) == hash(message)
    assert rmq.Message("T", "\u00e9").body == b"\xc3\xa9"
    assert rmq.Message("T", memoryview(b"xyz")[1:]).body == b"yz"
    assert rmq.Message("T").body == b""
    assert rmq.Message("T", keys="one").keys == ["one"]
    with pytest.raises(TypeError, match="a body is bytes"):
        rmq.Message("T", 5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="only one of"):
        rmq.Message("T", delay=1, delay_level=1)
    with pytest.raises(ValueError, match="seconds"):
        rmq.Message("T", delay=-1.0)
    with pytest.raises(AttributeError):
        message.topic = "U"  # type: ignore[misc]


def test_what_a_queue_is() -> None:
    queues = [rmq.MessageQueue("T", "b", 1), rmq.MessageQueue("T", "a", 2)]
    assert sorted(queues)[0] == queues[1]
    assert len({queues[0], rmq.MessageQueue("T", "b", 1)}) == 1
    assert pickle.loads(pickle.dumps(queues)) == queues
    assert "broker_name" in repr(queues[0])


def test_queues_keys_and_batches(producer: rmq.Producer, topic: str) -> None:
    queues = producer.queues(topic)
    assert len(queues) == 4
    assert producer.send(rmq.Message(topic, b"x"), queue=queues[2]).queue == queues[2]
    of_key = {producer.send(rmq.Message(topic, b"x", sharding_key="u1")).queue for _ in range(5)}
    assert len(of_key) == 1
    assert {producer.send(rmq.Message(topic, b"x"), sharding_key="u1").queue} == of_key
    anywhere = {producer.send(rmq.Message(topic, b"x")).queue for _ in range(8)}
    assert anywhere == set(queues)
    batch = producer.send_batch(rmq.Message(topic, f"{i}") for i in range(10))
    assert len(batch.msg_id.split(",")) == 10
    assert producer.send_batch_async([rmq.Message(topic, b"x")] * 2).result(10).queue in queues


def test_futures(producer: rmq.Producer, topic: str) -> None:
    futures = [producer.send_async(rmq.Message(topic, f"{i}")) for i in range(500)]
    done, left = wait(futures, timeout=30)
    assert not left
    assert len({future.result().msg_id for future in done}) == 500
    threads = set()
    told = threading.Event()

    def note(future: "Future[rmq.SendResult]") -> None:
        threads.add(threading.current_thread().name)
        # A callback may send, and wait for it.
        producer.send(rmq.Message(topic, b"x"))
        told.set()

    producer.send_async(rmq.Message(topic, b"x")).add_done_callback(note)
    assert told.wait(10)
    with pytest.raises(rmq.InvalidError):
        producer.send_async(rmq.Message("a topic with spaces"))


def test_errors_come_to_futures(shared: rmq.testing.Cluster) -> None:
    with rmq.Producer("g", "127.0.0.1:1", send_timeout=0.3) as producer:
        future = producer.send_async(rmq.Message("T", b"x"))
        with pytest.raises(rmq.RmqError) as raised:
            future.result(10)
        assert raised.value.retriable
        assert isinstance(pickle.loads(pickle.dumps(raised.value)), type(raised.value))


def test_a_full_window_is_busy() -> None:
    with rmq.testing.Cluster() as cluster:
        with rmq.Producer("g", cluster.namesrv, max_in_flight=2) as producer:
            producer.send(rmq.Message("T", b"x"))
            cluster.pause("broker-a")
            futures = [producer.send_async(rmq.Message("T", b"x")) for _ in range(2)]
            with pytest.raises(rmq.BusyError):
                producer.send_async(rmq.Message("T", b"x"))
            cluster.resume("broker-a")
            for future in futures:
                future.result(10)
            producer.flush()


def test_one_way(producer: rmq.Producer, admin: rmq.Admin, topic: str) -> None:
    with admin:
        producer.send_oneway(rmq.Message(topic, b"x"))
        while sum(queue.end for queue in admin.topic_offsets(topic)) == 0:
            pass


def test_close_while_blocked() -> None:
    with rmq.testing.Cluster() as cluster:
        producer = rmq.Producer("g", cluster.namesrv, send_timeout=60)
        producer.send(rmq.Message("T", b"x"))
        cluster.pause("broker-a")
        errors: list[BaseException] = []

        def send() -> None:
            try:
                producer.send(rmq.Message("T", b"x"))
            except rmq.RmqError as error:
                errors.append(error)

        threads = [threading.Thread(target=send) for _ in range(3)]
        for thread in threads:
            thread.start()
        future = producer.send_async(rmq.Message("T", b"x"))
        producer.close(timeout=0.1)
        for thread in threads:
            thread.join(10)
        assert isinstance(future.exception(10), rmq.ClosedError)
        assert [type(error) for error in errors] == [rmq.ClosedError] * 3
        assert all(error.fatal for error in errors if isinstance(error, rmq.RmqError))
        cluster.resume("broker-a")


def test_close_from_a_callback(shared: rmq.testing.Cluster, topic: str) -> None:
    producer = rmq.Producer("g", shared.namesrv)
    closed = threading.Event()

    def close(future: "Future[rmq.SendResult]") -> None:
        producer.close()
        closed.set()

    producer.send_async(rmq.Message(topic, b"x")).add_done_callback(close)
    assert closed.wait(10)
    assert producer.closed


def test_transactions(shared: rmq.testing.Cluster, admin: rmq.Admin, topic: str) -> None:
    asked: list[bytes] = []

    def check(message: rmq.ReceivedMessage) -> rmq.TransactionState:
        asked.append(message.body)
        if len(asked) == 1:
            raise RuntimeError("on purpose")
        # A checker may send.
        producer.send(rmq.Message(topic, b"from the checker"))
        return rmq.TransactionState.COMMIT

    def stored() -> int:
        return sum(queue.end for queue in admin.topic_offsets(topic))

    with admin, rmq.Producer(topic, shared.namesrv, checker=check) as producer:
        message = rmq.Message(topic, b"half")
        ended = producer.send_in_transaction(message, lambda sent: rmq.TransactionState.COMMIT)
        assert ended.state == rmq.TransactionState.COMMIT
        assert ended.sent.status == rmq.SendStatus.OK
        producer.send_in_transaction(message, lambda sent: rmq.TransactionState.ROLLBACK)
        while stored() != 1:
            pass

        def fail(sent: rmq.SendResult) -> rmq.TransactionState:
            raise KeyError("on purpose")

        with pytest.raises(KeyError):
            producer.send_in_transaction(rmq.Message(topic, b"asked"), fail)
        while stored() != 3:
            shared.advance(1.0)
            time.sleep(0.01)
        assert set(asked) == {b"asked"}
        assert len(asked) >= 2


def test_a_checker_is_let_go_of(shared: rmq.testing.Cluster) -> None:
    for closing in (True, False):

        def check(message: rmq.ReceivedMessage) -> rmq.TransactionState:
            return rmq.TransactionState.UNKNOWN

        producer = rmq.Producer("g", shared.namesrv, checker=check)
        if closing:
            producer.close()
        kept = weakref.ref(check)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            del check, producer
            _until_gone(kept)


def _until_gone(kept: "weakref.ref[Any]") -> None:
    for _ in range(500):
        gc.collect()
        if kept() is None:
            return
        time.sleep(0.01)
    raise AssertionError("the callback is still held")


def test_request_without_an_answer(producer: rmq.Producer, topic: str) -> None:
    with pytest.raises(rmq.Timeout):
        producer.request(rmq.Message(topic, b"anybody?"), timeout=0.2)
    with pytest.raises(rmq.Timeout):
        producer.request_async(rmq.Message(topic, b"x"), timeout=0.2).result(10)


def test_a_timed_message_is_taken_back(
    shared: rmq.testing.Cluster, producer: rmq.Producer, topic: str
) -> None:
    sent = producer.send(rmq.Message(topic, b"later", delay=3600.0))
    assert sent.recall_handle is not None
    assert producer.recall(topic, sent.recall_handle) == sent.msg_id
    with pytest.raises(rmq.InvalidError):
        producer.recall(topic, "nonsense")

    async def main() -> None:
        async with rmq.aio.Producer("g", shared.namesrv) as asynchronous:
            sent = await asynchronous.send(rmq.Message(topic, b"later", delay=3600.0))
            assert sent.recall_handle is not None
            assert await asynchronous.recall(topic, sent.recall_handle) == sent.msg_id

    asyncio.run(main())


def test_a_topic_that_is_not_made() -> None:
    with rmq.testing.Cluster(auto_create_topics=False) as cluster:
        with rmq.Producer("g", cluster.namesrv) as producer:
            with pytest.raises(rmq.TopicNotFoundError):
                producer.send(rmq.Message("unknown", b"x"))
