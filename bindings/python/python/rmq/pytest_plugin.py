"""Fixtures for tests that need RocketMQ. pytest finds them by itself.

- ``rmq_cluster``: a cluster in the test process, one for all tests of the process, with a clock
  that `advance` moves. What tests did to it is undone: members that do not run are started, the
  network is healed.
- ``rmq_topic``: the name of a topic of one test's own, with four queues.

Under pytest-xdist every worker is a process and has a cluster of its own; clusters never share
addresses. A project that wants another cluster overrides ``rmq_cluster_options``.
"""

import itertools
from collections.abc import Iterator
from typing import Final

import pytest

import rmq
from rmq.testing import Cluster, ClusterOptions

_numbers: Final = itertools.count(1)
_NAME_MAX = 100


@pytest.fixture(scope="session")
def rmq_cluster_options() -> ClusterOptions:
    """What the cluster of ``rmq_cluster`` is started from; to be overridden."""
    return {"manual_clock": True}


@pytest.fixture(scope="session")
def _rmq_shared_cluster(rmq_cluster_options: ClusterOptions) -> Iterator[Cluster]:
    with Cluster(**rmq_cluster_options) as cluster:
        yield cluster


@pytest.fixture
def rmq_cluster(_rmq_shared_cluster: Cluster) -> Iterator[Cluster]:
    """A cluster in this process; what a test did to its members is undone."""
    cluster = _rmq_shared_cluster
    yield cluster
    cluster.heal()
    changed = False
    for member in cluster.members:
        if member.paused:
            cluster.resume(member.name)
        if not member.running:
            cluster.start_member(member.name)
            changed = True
    if changed:
        cluster.await_ready()


@pytest.fixture
def rmq_topic(request: pytest.FixtureRequest, rmq_cluster: Cluster) -> str:
    """A topic of this test's own, with four queues."""
    plain = "".join(c if c.isascii() and c.isalnum() else "_" for c in request.node.name)
    name = f"{plain[:_NAME_MAX]}-{next(_numbers)}"
    with rmq.Admin(rmq_cluster.namesrv) as admin:
        admin.create_topic(name, queues=4)
    return name
