"""The pytest plugin, as a project that uses it sees it."""

import subprocess
import sys
from pathlib import Path

import pytest

import rmq

PROJECT = """
import pytest
import rmq

@pytest.mark.parametrize("turn", range(6))
def test_send(rmq_cluster, rmq_topic, turn):
    with rmq.Producer("g", rmq_cluster.namesrv) as producer:
        assert producer.send(rmq.Message(rmq_topic, b"x")).queue_offset == 0

def test_breaks_everything(rmq_cluster):
    rmq_cluster.kill("broker-a")
    rmq_cluster.pause("namesrv-0")
    rmq_cluster.advance(10.0)

@pytest.mark.parametrize("turn", range(2))
def test_send_again(rmq_cluster, rmq_topic, turn):
    with rmq.Producer("g", rmq_cluster.namesrv) as producer:
        producer.send(rmq.Message(rmq_topic, b"x"))
"""

OPTIONS = """
import pytest

@pytest.fixture(scope="session")
def rmq_cluster_options():
    return {"masters": 2}
"""


def pytest_in(folder: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.mark.parametrize("arguments", [(), ("-n", "3")])
def test_a_project(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    (tmp_path / "test_project.py").write_text(PROJECT)
    assert "9 passed" in pytest_in(tmp_path, *arguments)


def test_another_cluster(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(OPTIONS)
    source = "def test_it(rmq_cluster):\n    assert len(rmq_cluster.members) == 3\n"
    (tmp_path / "test_project.py").write_text(source)
    assert "1 passed" in pytest_in(tmp_path)


def test_fixtures_here(rmq_cluster: rmq.testing.Cluster, rmq_topic: str) -> None:
    with rmq.Admin(rmq_cluster.namesrv) as admin:
        assert rmq_topic in admin.topics()
