"""Messages a second of Apache's own Python client, which speaks gRPC, beside rmq's at one broker.

    bash rmq-core/tests/interop/fetch.sh target/interop proxy-5.5.0
    pip install rocketmq-python-client
    python grpc_client.py [--messages 20000] [--bytes 128] [--jars target/interop/jars/proxy-5.5.0]

Starts Apache's nameserver and, in one process, its broker and proxy, and ends them. What
`throughput.py` measures is measured at that broker too.
"""

import argparse
import os
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import throughput
from throughput import IN_FLIGHT, timed

import rmq

TARGET = Path(os.environ.get("CARGO_TARGET_DIR", Path(__file__).resolve().parents[3] / "target"))
BOOT_S = 60.0
# The first is what a Java machine that has just started does.
ROUNDS = ("cold", "warm")


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody has now."""
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


@contextmanager
def server(folder: Path, jars: Path, main: str, heap: str, *arguments: str) -> Iterator[None]:
    """A program of Apache's, from its boot line on until the end of the block."""
    log = folder / f"{main.rpartition('.')[2]}.log"
    command = ["java", "-Xms512m", f"-Xmx{heap}", "-XX:+UseG1GC"]
    command += [f"-Drocketmq.home.dir={folder}", f"-Duser.home={folder}"]
    command += ["--add-exports=java.base/sun.nio.ch=ALL-UNNAMED"]
    command += ["--add-opens=java.base/java.nio=ALL-UNNAMED"]
    command += ["-cp", f"{jars}/*", f"org.apache.rocketmq.{main}", *arguments]
    environment = {**os.environ, "ROCKETMQ_HOME": str(folder), "RMQ_PROXY_HOME": str(folder)}
    with log.open("w") as output, subprocess.Popen(
        command, stdout=output, stderr=subprocess.STDOUT, env=environment, cwd=folder
    ) as process:
        try:
            until = time.monotonic() + BOOT_S
            while "success" not in (told := log.read_text()):
                if process.poll() is not None or time.monotonic() > until:
                    raise SystemExit(f"{main} did not start:\n{told[-4000:]}")
                time.sleep(0.05)
            yield
        finally:
            process.send_signal(signal.SIGKILL)


@contextmanager
def apache(folder: Path, jars: Path) -> Iterator[tuple[str, str]]:
    """Nameserver, broker and proxy: the nameserver's address and the proxy's for gRPC."""
    name_port, broker_port, ha_port, grpc_port, remoting_port = free_ports(5)
    namesrv = f"127.0.0.1:{name_port}"
    name_conf, broker_conf = folder / "namesrv.conf", folder / "broker.conf"
    proxy_conf = folder / "proxy.json"
    name_conf.write_text(f"listenPort={name_port}\n")
    broker_conf.write_text(
        "brokerClusterName=DefaultCluster\nbrokerName=broker-a\nbrokerId=0\nbrokerIP1=127.0.0.1\n"
        f"listenPort={broker_port}\nhaListenPort={ha_port}\nnamesrvAddr={namesrv}\n"
        f"storePathRootDir={folder}/store\nstorePathCommitLog={folder}/store/commitlog\n"
        "mappedFileSizeCommitLog=268435456\n"
    )
    proxy_conf.write_text(
        '{"rocketMQClusterName": "DefaultCluster", "proxyMode": "LOCAL", '
        f'"grpcServerPort": {grpc_port}, "remotingListenPort": {remoting_port}, '
        f'"localServeAddr": "127.0.0.1", "namesrvAddr": "{namesrv}"}}\n'
    )
    proxy = ["-pm", "local", "-pc", str(proxy_conf), "-bc", str(broker_conf), "-n", namesrv]
    with server(folder, jars, "namesrv.NamesrvStartup", "512m", "-c", str(name_conf)):
        with server(folder, jars, "proxy.ProxyStartup", "2g", *proxy):
            yield namesrv, f"127.0.0.1:{grpc_port}"


class Client:
    """Apache's client in each of its ways."""

    def __init__(self, endpoints: str, topic: str, size: int, messages: int) -> None:
        # Not before: it opens its log in the home folder.
        import rocketmq

        self._api = rocketmq
        self._config = rocketmq.ClientConfiguration(endpoints, rocketmq.Credentials())
        self._topic, self._size, self._messages = topic, size, messages

    def _message(self) -> Any:
        message = self._api.Message()
        message.topic, message.body = self._topic, b"x" * self._size
        return message

    def measure(self) -> None:
        """Prints messages a second."""
        producer = self._api.Producer(self._config, (self._topic,))
        producer.startup()
        few, name = max(1, self._messages // 10), f"gRPC, {self._topic}:"
        timed(f"{name} send, each", few, lambda: self._send_sync(producer, few))
        timed(f"{name} send, futures", self._messages, lambda: self._send_futures(producer))
        producer.shutdown()
        timed(f"{name} consume, callback", self._messages, self._consume_callback)
        timed(f"{name} consume, receive", self._messages, self._consume_simple)

    def _send_sync(self, producer: Any, count: int) -> None:
        for _ in range(count):
            producer.send(self._message())

    def _send_futures(self, producer: Any) -> None:
        under_way: deque[Future[Any]] = deque()
        for _ in range(self._messages):
            under_way.append(producer.send_async(self._message()))
            if len(under_way) >= IN_FLIGHT:
                under_way.popleft().result()
        for future in under_way:
            future.result()

    def _consume_callback(self) -> None:
        done, left, lock = threading.Event(), self._messages, threading.Lock()
        success = self._api.ConsumeResult.SUCCESS

        class Listener(self._api.MessageListener):  # type: ignore[misc,name-defined]
            def consume(self, message: Any) -> Any:
                nonlocal left
                with lock:
                    left -= 1
                    if left == 0:
                        done.set()
                return success

        every, group = {self._topic: self._api.FilterExpression()}, f"callback-{self._topic}"
        consumer = self._api.PushConsumer(self._config, group, Listener(), every)
        consumer.startup()
        if not done.wait(600):
            raise SystemExit(f"{left} messages did not come")
        consumer.shutdown()

    def _consume_simple(self) -> None:
        every = {self._topic: self._api.FilterExpression()}
        consumer = self._api.SimpleConsumer(self._config, f"simple-{self._topic}", every)
        consumer.startup()
        left = self._messages
        # Its `ack_async` does not tell how that went.
        with ThreadPoolExecutor(20) as threads:
            acks: deque[Future[None]] = deque()
            while left > 0:
                messages = consumer.receive(32, 30)
                acks.extend(threads.submit(consumer.ack, message) for message in messages)
                left -= len(messages)
                while len(acks) > IN_FLIGHT:
                    acks.popleft().result()
            for ack in acks:
                ack.result()
        consumer.shutdown()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--bytes", type=int, default=128)
    parser.add_argument("--jars", type=Path, default=TARGET / "interop/jars/proxy-5.5.0")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rmq-grpc-") as name:
        # Both the servers and the client write logs into the home folder.
        os.environ["HOME"] = name
        with apache(Path(name), given.jars) as (namesrv, endpoints):
            with rmq.Admin(namesrv) as admin:
                for topic in ROUNDS:
                    admin.create_topic(topic, queues=4)
                    admin.create_group(f"callback-{topic}")
                    admin.create_group(f"simple-{topic}")
            for topic in ROUNDS:
                Client(endpoints, topic, given.bytes, given.messages).measure()
            throughput.measure(namesrv, given.messages, given.bytes)


if __name__ == "__main__":
    main()
