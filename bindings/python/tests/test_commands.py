"""The commands that come with the wheel."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import rmq

BIN = Path(sys.executable).parent


def run(*command: str) -> "subprocess.CompletedProcess[str]":
    line = [str(BIN / command[0]), *command[1:]]
    return subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)


def start(folder: Path, *command: str) -> "tuple[subprocess.Popen[str], str]":
    log = (folder / f"{command[0]}.log").open("w")
    line = [str(BIN / command[0]), *command[1:]]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=log, text=True)
    assert process.stdout is not None
    return process, process.stdout.readline()


def start_nameserver(folder: Path) -> "tuple[subprocess.Popen[str], str]":
    conf = folder / "namesrv.conf"
    own = f"{folder}/n"
    conf.write_text(f"listenPort=0\nbindAddress=127.0.0.1\nkvConfigPath={own}\nnonsense=1\n")
    return start(folder, "mqnamesrv", "-c", str(conf))


def start_broker(folder: Path, namesrv: str) -> "tuple[subprocess.Popen[str], str]":
    conf = folder / "broker.conf"
    conf.write_text(
        "brokerName=b\nlistenPort=0\nhaListenPort=0\nbindAddress=127.0.0.1\n"
        f"brokerIP1=127.0.0.1\nstorePathRootDir={folder}/store\n"
        "mappedFileSizeCommitLog=1048576\n"
    )
    return start(folder, "mqbroker", "-n", namesrv, "-c", str(conf))


def test_servers_and_administration(tmp_path: Path) -> None:
    nameserver, line = start_nameserver(tmp_path)
    try:
        assert line.startswith("The Name Server boot success. serializeType=JSON, address ")
        namesrv = line.split()[-1]
        assert "nonsense" in (tmp_path / "mqnamesrv.log").read_text()
        broker, line = start_broker(tmp_path, namesrv)
        try:
            assert line.startswith("The broker[b, 127.0.0.1:")
            assert line.endswith(f"boot success. serializeType=JSON and name server is {namesrv}\n")
            with rmq.Producer("g", namesrv) as producer:
                producer.send(rmq.Message("T", b"x"))
            told = run("mqadmin", "topicRoute", "-n", namesrv, "-t", "T")
            assert told.returncode == 0, told.stderr
            assert json.loads(told.stdout)["brokerDatas"][0]["brokerName"] == "b"
            wrong = run("mqadmin", "topicRoute", "-n", namesrv, "-t", "U")
            assert wrong.returncode == 1
            assert wrong.stderr.startswith("mqadmin: ")
        finally:
            broker.terminate()
            assert broker.wait(60) == 0
    finally:
        nameserver.terminate()
        assert nameserver.wait(60) == 0


def test_help_and_items() -> None:
    for command in ("mqnamesrv", "mqbroker", "mqshutdown", "mqadmin"):
        assert rmq.version() in run(command, "--version").stdout
        assert "usage" in run(command, "--help").stdout
    items = dict(line.split("=", 1) for line in run("mqbroker", "-p").stdout.splitlines())
    assert items["listenPort"] == "10911"
    important = run("mqbroker", "-m").stdout.splitlines()
    assert 0 < len(important) < len(items)
    assert "updateTopic" in run("mqadmin", "help").stdout


# Processes in here see no others, and have a network of their own; they end with the first of them.
APART = ["unshare", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]


def test_mqshutdown_ends_what_runs(tmp_path: Path) -> None:
    apart = APART if os.geteuid() == 0 else [*APART, "--user", "--map-root-user"]
    tried = subprocess.run([*apart, "ip", "link"], capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        assert not os.environ.get("CI"), tried.stderr
        pytest.skip(f"mqshutdown would see all of this machine: {tried.stderr}")
    command = [*apart, sys.executable, __file__, str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def shut_down_apart(folder: Path) -> None:
    """What that test does where there is nothing else."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for kind in ("broker", "namesrv"):
        ended = run("mqshutdown", kind)
        assert (ended.returncode, ended.stdout) == (1, f"No mq{kind} running.\n")
    nameserver, line = start_nameserver(folder)
    broker, line = start_broker(folder, line.split()[-1])
    assert "boot success" in line
    # Another host, as far as networks tell hosts apart.
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    conf = elsewhere / "namesrv.conf"
    conf.write_text(f"bindAddress=127.0.0.1\nlistenPort=0\nkvConfigPath={elsewhere}/n\n")
    other = subprocess.Popen(
        ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh",
         str(BIN / "mqnamesrv"), "-c", str(conf)],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )
    assert other.stdout is not None
    assert "boot success" in other.stdout.readline()

    ended = run("mqshutdown", "broker")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == (
        f"The mqbroker({broker.pid}) is running...\n"
        f"Send shutdown request to mqbroker({broker.pid}) OK\n"
    )
    assert not (folder / "store" / "abort").exists()
    assert broker.wait(0) == 0
    assert nameserver.poll() is None
    ended = run("mqshutdown", "namesrv")
    assert ended.returncode == 0, ended.stderr
    assert f"mqnamesrv({nameserver.pid})" in ended.stdout
    assert f"mqnamesrv({other.pid})" not in ended.stdout
    assert nameserver.wait(0) == 0
    assert other.poll() is None
    assert run("mqshutdown", "namesrv").returncode == 1
    assert run("mqshutdown", "nobody").returncode == 2


if __name__ == "__main__":
    shut_down_apart(Path(sys.argv[1]))
