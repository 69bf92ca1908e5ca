"""Messages of one user stay in order, while users are handled side by side."""

import threading
from collections import defaultdict

import rmq

STEPS = ["created", "paid", "shipped", "delivered"]
USERS = 5


def main() -> None:
    with rmq.testing.Cluster() as cluster:
        with rmq.Producer("senders", cluster.namesrv) as producer:
            for step in STEPS:
                for user in range(USERS):
                    message = rmq.Message("orders", step, tags=f"user{user}")
                    producer.send(message, sharding_key=f"user{user}")
        seen: dict[str, list[str]] = defaultdict(list)
        lock = threading.Lock()

        def handle(delivery: rmq.Delivery) -> None:
            with lock:
                seen[delivery.tags or ""].append(delivery.body.decode())
                if sum(map(len, seen.values())) == USERS * len(STEPS):
                    consumer.close()

        namesrv = cluster.namesrv
        with rmq.PushConsumer(
            "readers", namesrv, "orders", orderly=True, start_from="first"
        ) as consumer:
            consumer.run(handle, threads=4)
        for name, steps in sorted(seen.items()):
            assert steps == STEPS, steps
            print(name, " -> ".join(steps))


if __name__ == "__main__":
    main()
