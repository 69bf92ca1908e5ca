"""Two masters with a slave each: one master crashes, and what it had is still to be read."""

import rmq


def main() -> None:
    with rmq.testing.Cluster(masters=2, slaves=1, replication="sync") as cluster:
        for member in cluster.members:
            print(f"{member.name:12} {member.address}")
        with rmq.Producer("senders", cluster.namesrv) as producer:
            for i in range(20):
                producer.send(rmq.Message("orders", f"{i}"))
            cluster.kill("broker-a")
            print("broker-a is gone; sends go on at the other master")
            for i in range(20, 40):
                producer.send(rmq.Message("orders", f"{i}"))
        seen: set[bytes] = set()
        with rmq.PushConsumer("readers", cluster.namesrv, "orders", start_from="first") as consumer:
            for delivery in consumer:
                with delivery:
                    seen.add(delivery.body)
                if len(seen) == 40:
                    break
        print(f"received all {len(seen)}: the slave of broker-a has what was acknowledged")


if __name__ == "__main__":
    main()
