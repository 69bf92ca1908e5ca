"""Nameservers, brokers and clusters in the process."""

import copy
import pickle
import time
from pathlib import Path

import pytest

import rmq


def send_and_find(namesrv: str, body: bytes) -> bytes:
    with rmq.Producer("g", namesrv) as producer, rmq.Admin(namesrv) as admin:
        sent = producer.send(rmq.Message("T", body))
        assert sent.status == rmq.SendStatus.OK
        return admin.message_at(sent.offset_msg_id).body


def test_a_nameserver_and_a_broker() -> None:
    with rmq.NameServer() as nameserver, rmq.Broker(namesrv=nameserver.address) as broker:
        assert nameserver.address == f"127.0.0.1:{nameserver.port}"
        assert broker.name
        assert send_and_find(nameserver.address, b"\x00raw\xff") == b"\x00raw\xff"
    assert nameserver.closed
    assert broker.closed
    nameserver.close()
    with pytest.raises(rmq.ClosedError):
        nameserver.address  # noqa: B018


@pytest.mark.parametrize("end", ["close", "kill"])
def test_a_store_outlives_its_broker(tmp_path: Path, end: str) -> None:
    with rmq.NameServer() as nameserver:
        ids = []
        for turn in range(2):
            broker = rmq.Broker(
                namesrv=nameserver.address,
                store_path=tmp_path,
                flush="sync",
                name="b",
                broker_cluster_name="c",
                config={"defaultTopicQueueNums": 2},
            )
            assert broker.name == "b"
            with rmq.Producer("g", nameserver.address) as producer:
                sent = producer.send(rmq.Message("T", f"{turn}"))
            ids.append(sent.msg_id)
            with rmq.Admin(nameserver.address) as admin:
                # The index follows the log, and is not waited for by who sends.
                until = time.monotonic() + 20
                while time.monotonic() < until:
                    found = [admin.messages_by_id("T", id) for id in ids]
                    if all(found):
                        break
                assert all(found)
                assert admin.brokers() == [rmq.BrokerInfo("c", "b", 0, broker.address)]
            getattr(broker, end)()


def test_a_store_in_memory() -> None:
    with rmq.NameServer() as nameserver:
        with rmq.Broker(namesrv=nameserver.address, store_path=":memory:"):
            assert send_and_find(nameserver.address, b"x") == b"x"


def test_a_configuration_file(tmp_path: Path) -> None:
    file = tmp_path / "broker.conf"
    file.write_text("brokerName=from file\nbrokerClusterName=c\n")
    with rmq.Broker(config_file=file, name="argument") as broker:
        assert broker.name == "argument"


def test_wrong_keys_and_values() -> None:
    with pytest.raises(rmq.ConfigError, match="did you mean brokerName") as raised:
        rmq.Broker(broker_nam="x")
    assert isinstance(raised.value, ValueError)
    assert raised.value.code == "RMQ_E_INVALID"
    assert not raised.value.retriable
    with pytest.raises(rmq.ConfigError, match="70000"):
        rmq.NameServer(listen_port=70000)
    with pytest.raises(rmq.ConfigError):
        rmq.Producer("g", "nowhere")
    with pytest.raises(rmq.ConfigError, match="no key"):
        rmq.Producer("g", "127.0.0.1:1", send_msg_timeot=3)
    with rmq.NameServer() as nameserver, pytest.raises(rmq.AddressInUseError):
        rmq.NameServer(listen_port=nameserver.port)


def test_handles_are_not_copied() -> None:
    with rmq.NameServer() as nameserver:
        for act in (copy.copy, copy.deepcopy, pickle.dumps):
            with pytest.raises(TypeError, match="cannot be copied or pickled"):
                act(nameserver)


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({}, ["namesrv-0", "broker-a"]),
        ({"masters": 2, "nameservers": 2}, ["namesrv-0", "namesrv-1", "broker-a", "broker-b"]),
        ({"slaves": 1}, ["namesrv-0", "broker-a", "broker-a-s"]),
        ({"slaves": 1, "replication": "sync"}, ["namesrv-0", "broker-a", "broker-a-s"]),
    ],
)
def test_the_four_deployments(options: rmq.testing.ClusterOptions, names: list[str]) -> None:
    with rmq.testing.Cluster(**options) as cluster:
        assert [member.name for member in cluster.members] == names
        assert all(member.running for member in cluster.members)
        assert send_and_find(cluster.namesrv, b"x") == b"x"


def _send_when_back(producer: rmq.Producer, queue: rmq.MessageQueue) -> rmq.SendResult:
    """A client that could not connect does not try again at once."""
    for _ in range(500):
        try:
            return producer.send(rmq.Message("T", b"back"), queue=queue)
        except rmq.UnreachableError as error:
            assert error.retriable
        time.sleep(0.02)
    raise AssertionError("the broker did not come back")


def test_members_fail_and_come_back() -> None:
    options: rmq.testing.ClusterOptions = {"masters": 2, "store_path": ":memory:"}
    with rmq.testing.Cluster(**options) as cluster:
        assert cluster.is_running("broker-a")
        with rmq.Producer("g", cluster.namesrv, send_timeout=10) as producer:
            queues = [queue for queue in _queues(producer) if queue.broker_name == "broker-a"]
            cluster.kill("broker-a")
            assert not cluster.is_running("broker-a")
            sent = producer.send(rmq.Message("T", b"elsewhere"))
            assert sent.queue.broker_name == "broker-b"
            cluster.start_member("broker-a")
            cluster.await_ready()
            assert _send_when_back(producer, queues[0]).queue == queues[0]
            cluster.pause("broker-a")
            with pytest.raises(rmq.Timeout) as raised:
                producer.send(rmq.Message("T", b"lost"), queue=queues[0], timeout=0.2)
            assert isinstance(raised.value, TimeoutError)
            assert raised.value.retriable
            cluster.resume("broker-a")
            cluster.partition(["broker-a"])
            with pytest.raises(rmq.Timeout):
                producer.send(rmq.Message("T", b"lost"), queue=queues[0], timeout=0.2)
            cluster.heal()
            producer.send(rmq.Message("T", b"healed"), queue=queues[0])
        cluster.restart("broker-b")
        cluster.wipe("broker-a")
        cluster.reset()
        with rmq.Admin(cluster.namesrv) as admin:
            assert "T" not in admin.topics()
    with pytest.raises(rmq.NotFoundError), rmq.testing.Cluster() as cluster:
        cluster.kill("broker-x")
    with pytest.raises(TypeError, match="colour"):
        rmq.testing.Cluster(colour="red")  # type: ignore[call-arg]
    with pytest.raises(rmq.ConfigError, match="brokerNam"):
        rmq.testing.Cluster(config={"brokerNam": "x"})


def _queues(producer: rmq.Producer) -> list[rmq.MessageQueue]:
    producer.send(rmq.Message("T", b"first"))
    for _ in range(20):
        producer.send(rmq.Message("T", b"more"))
    queues = producer.queues("T")
    assert {queue.broker_name for queue in queues} == {"broker-a", "broker-b"}
    return queues


def test_replication_and_time() -> None:
    with rmq.testing.Cluster(slaves=1, replication="sync", manual_clock=True) as cluster:
        assert send_and_find(cluster.namesrv, b"x") == b"x"
        cluster.await_replicated()
        with rmq.Producer("g", cluster.namesrv) as producer, rmq.Admin(cluster.namesrv) as admin:
            before = sum(queue.end for queue in admin.topic_offsets("T"))
            producer.send(rmq.Message("T", b"later", delay=3600.0))
            producer.send(rmq.Message("T", b"level", delay_level=18))
            cluster.advance(7200.5)
            while sum(queue.end for queue in admin.topic_offsets("T")) != before + 2:
                pass
