"""Fifty tests that each start a cluster of their own. For a release build:

    time pytest -q benches/fifty_clusters.py
"""

import pytest

import rmq


@pytest.mark.parametrize("number", range(50))
def test_a_cluster_of_its_own(number: int) -> None:
    with rmq.testing.Cluster() as cluster, rmq.Producer("g", cluster.namesrv) as producer:
        producer.send(rmq.Message("T", b"x"))
        with rmq.PushConsumer("c", cluster.namesrv, "T", start_from="first") as consumer:
            (delivery,) = consumer.poll(timeout=10)
            assert delivery.ack()
