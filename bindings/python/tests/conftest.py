"""What the tests share."""

import faulthandler
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import rmq

# A test that hangs says where, and ends the run.
HANGS_S = float(os.environ.get("RMQ_TEST_HANGS_S", "120"))


@pytest.fixture(autouse=True)
def bounded() -> Iterator[None]:
    """Ends the run when a test takes far too long."""
    faulthandler.dump_traceback_later(HANGS_S, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture(scope="session")
def shared() -> Iterator[rmq.testing.Cluster]:
    """One cluster for all tests of the process that only need topics of their own."""
    config = {
        "transactionCheckInterval": 100,
        "transactionTimeOut": 200,
        "recallMessageEnable": True,
    }
    with rmq.testing.Cluster(config=config, manual_clock=True) as cluster:
        yield cluster


@pytest.fixture
def topic(request: pytest.FixtureRequest, shared: rmq.testing.Cluster) -> str:
    """A topic of one test's own, with four queues."""
    test = f"{request.module.__name__}_{request.node.name}"
    name = "".join(c if c.isalnum() else "_" for c in test)[:100]
    with rmq.Admin(shared.namesrv) as admin:
        admin.create_topic(name, queues=4)
    return name


@pytest.fixture
def producer(shared: rmq.testing.Cluster) -> Iterator[rmq.Producer]:
    """A producer at the shared cluster."""
    with rmq.Producer("senders", shared.namesrv, send_timeout=10) as producer:
        yield producer


Script = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def script(tmp_path: Path) -> Script:
    """Runs a program in an interpreter of its own, and answers how it ended."""
    # Some end without cleaning up.
    environment = {**os.environ, "TMPDIR": str(tmp_path)}

    def run(
        source: str, *arguments: str, check: bool = True, timeout: float = 60, **variables: str
    ) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-X", "faulthandler", "-c", source, *arguments]
        ended = subprocess.run(
            command, capture_output=True, text=True, timeout=timeout, check=False,
            env={**environment, **variables},
        )
        if check:
            assert ended.returncode == 0, ended.stderr
        return ended

    return run
