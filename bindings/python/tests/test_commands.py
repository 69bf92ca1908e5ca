"""The commands that come with the wheel."""

import json
import subprocess
import sys
from pathlib import Path

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


def test_servers_and_administration(tmp_path: Path) -> None:
    conf = tmp_path / "namesrv.conf"
    own = f"{tmp_path}/n"
    conf.write_text(f"listenPort=0\nbindAddress=127.0.0.1\nkvConfigPath={own}\nnonsense=1\n")
    nameserver, line = start(tmp_path, "mqnamesrv", "-c", str(conf))
    try:
        assert line.startswith("The Name Server boot success. serializeType=JSON, address ")
        namesrv = line.split()[-1]
        assert "nonsense" in (tmp_path / "mqnamesrv.log").read_text()
        conf = tmp_path / "broker.conf"
        conf.write_text(
            "brokerName=b\nlistenPort=0\nhaListenPort=0\nbindAddress=127.0.0.1\n"
            f"brokerIP1=127.0.0.1\nstorePathRootDir={tmp_path}/store\n"
            "mappedFileSizeCommitLog=1048576\n"
        )
        broker, line = start(tmp_path, "mqbroker", "-n", namesrv, "-c", str(conf))
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
