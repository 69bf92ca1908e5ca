"""The package and what happens to its process: signals, forks, the end of the interpreter."""

import faulthandler
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import Script

import rmq

START = """
import os, signal, sys, threading, time
import rmq
# As at a terminal: what runs in the background of a shell is deaf to Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)
cluster = rmq.testing.Cluster()
producer = rmq.Producer("g", cluster.namesrv, send_timeout=60)
producer.send(rmq.Message("T", b"first"))
"""

# What may wait for long, each after `START`.
WAITS = {
    "send": """
cluster.pause("broker-a")
go()
producer.send(rmq.Message("T", b"x"))
""",
    "send_batch": """
cluster.pause("broker-a")
go()
producer.send_batch([rmq.Message("T", b"x")])
""",
    "transaction": """
cluster.pause("broker-a")
go()
producer.send_in_transaction(rmq.Message("T", b"x"), lambda sent: rmq.TransactionState.COMMIT)
""",
    "request": """
go()
producer.request(rmq.Message("T", b"x"), timeout=60)
""",
    "flush": """
cluster.pause("broker-a")
producer.send_async(rmq.Message("T", b"x"))
go()
producer.flush(60)
""",
    "close": """
cluster.pause("broker-a")
producer.send_async(rmq.Message("T", b"x"))
go()
producer.close(60)
""",
    "future": """
cluster.pause("broker-a")
future = producer.send_async(rmq.Message("T", b"x"))
go()
future.result(60)
""",
    "admin": """
cluster.pause("broker-a")
admin = rmq.Admin(cluster.namesrv, timeout=60)
go()
admin.create_topic("U")
""",
    "await_ready": """
cluster.partition(["broker-a"])
cluster.restart("namesrv-0")
go()
cluster.await_ready(60)
""",
}

CONSUMERS = """
consumer = rmq.PushConsumer("c", cluster.namesrv, "U")
puller = rmq.PullConsumer("p", cluster.namesrv, "U")
go()
"""
WAITS |= {
    "poll": CONSUMERS + "consumer.poll()",
    "iterate": CONSUMERS + "list(consumer)",
    "run": CONSUMERS + "consumer.run(print, threads=3)",
    "pull": CONSUMERS + "puller.poll(timeout=60)",
    "iterate pull": CONSUMERS + "list(puller)",
}

INTERRUPT = """
def go():
    def later():
        time.sleep(0.3)
        os.kill(os.getpid(), signal.SIGINT)
    threading.Thread(target=later, daemon=True).start()
    global began
    began = time.monotonic()
"""


@pytest.mark.parametrize("wait", WAITS)
def test_control_c_ends_every_wait(script: Script, wait: str) -> None:
    body = "".join(f"    {line}\n" for line in WAITS[wait].strip().splitlines())
    ended = script(
        f"{START}{INTERRUPT}\ntry:\n{body}"
        "except KeyboardInterrupt:\n"
        "    cluster.heal(); cluster.resume('broker-a')\n"
        "    print('interrupted', time.monotonic() - began < 20)\n"
    )
    assert ended.stdout.strip() == "interrupted True"


def test_control_c_without_a_handler_ends_the_program(tmp_path: Path) -> None:
    source = f"{START}cluster.pause('broker-a'); print('go', flush=True)\n"
    source += "producer.send(rmq.Message('T', b'x'))"
    command = [sys.executable, "-c", source]
    environment, pipe = {**os.environ, "TMPDIR": str(tmp_path)}, subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, env=environment) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == b"go\n"
        time.sleep(0.1)
        program.send_signal(signal.SIGINT)
        _, errors = program.communicate(timeout=60)
        assert program.returncode == -signal.SIGINT
        assert b"KeyboardInterrupt" in errors


def test_everything_left_open_at_the_end(script: Script) -> None:
    began = time.monotonic()
    ended = script(
        START
        + """
nameserver = rmq.NameServer()
broker = rmq.Broker(namesrv=nameserver.address)
admin = rmq.Admin(cluster.namesrv)
checked = rmq.Producer("c", cluster.namesrv, checker=lambda m: rmq.TransactionState.COMMIT)
rmq.enable_logging()
futures = [producer.send_async(rmq.Message("T", b"x")) for _ in range(1000)]

def forever():
    while True:
        try:
            producer.send(rmq.Message("T", b"x"))
        except rmq.RmqError:
            pass

for _ in range(4):
    threading.Thread(target=forever, daemon=True).start()
# Asynchronous sends whose callbacks never return.
stuck = threading.Event()
producer.send_async(rmq.Message("T", b"x")).add_done_callback(lambda f: stuck.wait(100))
print("end")
"""
    )
    assert ended.stdout == "end\n"
    assert time.monotonic() - began < 40


@pytest.mark.parametrize("how", ["sys.exit(3)", "os._exit(3)", "raise SystemExit(3)"])
def test_other_ends(script: Script, how: str) -> None:
    assert script(START + how, check=False).returncode == 3


def test_an_uncaught_error(script: Script) -> None:
    ended = script(START + "producer.close(); producer.send(rmq.Message('T', b'x'))", check=False)
    assert ended.returncode == 1
    assert "rmq._errors.ClosedError" in ended.stderr


FORKED = """
import warnings
warnings.simplefilter("ignore")
def told(call):
    try:
        call()
    except rmq.ForkedError as error:
        assert error.fatal and error.code == "RMQ_E_FORKED"
        return True
    return False
with cluster, producer:
    future = producer.send_async(rmq.Message("T", b"x"))
    pid = os.fork()
    if pid == 0:
        checks = [
            lambda: producer.send(rmq.Message("T", b"x")),
            lambda: producer.send_async(rmq.Message("T", b"x")),
            lambda: producer.flush(),
            lambda: producer.close(),
            lambda: cluster.kill("broker-a"),
            lambda: cluster.close(),
        ]
        ok = all([told(check) for check in checks])
        # What the child makes itself works.
        rmq.enable_logging()
        with rmq.Producer("g", sys.argv[1]) as own:
            ok = ok and own.send(rmq.Message("T", b"x")).status == rmq.SendStatus.OK
            ok = ok and own.send_async(rmq.Message("T", b"x")).result(10) is not None
        sys.exit(0 if ok else 1)
    _, status = os.waitpid(pid, 0)
    assert status == 0, status
    # The parent's work goes on.
    future.result(10)
    for _ in range(10):
        producer.send(rmq.Message("T", b"x"))
    print("fine")
"""


def test_a_forked_child_is_told(script: Script, shared: rmq.testing.Cluster) -> None:
    ended = script(START + FORKED, shared.namesrv)
    assert ended.stdout == "fine\n", ended.stderr


def _send(namesrv: str, results: Any) -> None:
    with rmq.Producer("g", namesrv) as producer:
        results.put(producer.send(rmq.Message("T", b"x")).msg_id)


@pytest.mark.parametrize("method", ["spawn", "fork", "forkserver"])
def test_multiprocessing(shared: rmq.testing.Cluster, method: str) -> None:
    context: Any = multiprocessing.get_context(method)
    results = context.Queue()
    processes = [
        context.Process(target=_send, args=(shared.namesrv, results)) for _ in range(2)
    ]
    for process in processes:
        process.start()
    sent = {results.get(timeout=30) for _ in processes}
    for process in processes:
        process.join(30)
        assert process.exitcode == 0
    assert len(sent) == 2


def test_logging(script: Script) -> None:
    ended = script(
        """
import logging, rmq
lines = []
class Keep(logging.Handler):
    def emit(self, record):
        lines.append((record.name, record.levelno, record.getMessage()))
logging.getLogger("rmq").addHandler(Keep())
logging.getLogger("rmq").setLevel(1)
rmq.NameServer().close()
assert not lines
rmq.enable_logging(logging.DEBUG)
rmq.testing.Cluster().close()
rmq.disable_logging()
assert lines and all(name.startswith("rmq.") for name, _, _ in lines), lines
assert all(level >= logging.DEBUG for _, level, _ in lines)
count = len(lines)
rmq.testing.Cluster().close()
assert len(lines) == count
"""
    )
    assert ended.stderr == ""


CYCLES = """
import os, sys, time
import rmq

def cycle(number):
    with rmq.NameServer() as nameserver:
        with rmq.Broker(namesrv=nameserver.address, store_path=rmq.testing.MEMORY):
            with rmq.Producer("g", nameserver.address) as producer:
                producer.send(rmq.Message("T", b"x"))
                if number % 10 == 0:
                    consume(nameserver.address)

def consume(namesrv):
    with rmq.PushConsumer("c", namesrv, "T", start_from="first") as consumer:
        (delivery,) = consumer.poll(timeout=30)
        delivery.ack()

def held():
    return len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))

def memory_kib():
    with open("/proc/self/smaps_rollup") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("Anonymous:"))

before, cycles = held(), int(sys.argv[1])
for number in range(cycles):
    if number == cycles // 4:
        memory = memory_kib()
    cycle(number)
# What has just ended may be listed for a moment more.
until = time.monotonic() + 20
while held() != before and time.monotonic() < until:
    time.sleep(0.01)
print(held() == before, before, held(), memory_kib() - memory)
"""


def test_many_starts_and_stops(script: Script) -> None:
    """In a process of its own, where every descriptor and thread is that of a cycle.

    With one arena, memory that is in use grows by what is not given back, and by nothing else.
    """
    cycles = int(os.environ.get("RMQ_TEST_CYCLES", "1000"))
    limit_s = 60 + cycles * 0.5
    faulthandler.dump_traceback_later(limit_s + 10, exit=True)
    ended = script(CYCLES, str(cycles), timeout=limit_s, MALLOC_ARENA_MAX="1")
    same, *_, grown_kib = ended.stdout.split()
    assert same == "True", ended.stdout
    assert int(grown_kib) < 2048, ended.stdout
