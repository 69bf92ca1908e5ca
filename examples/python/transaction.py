"""A message that is delivered if, and only if, the program's own work was done."""

import time

import rmq


def main() -> None:
    done = {"order-1", "order-3"}

    def check(message: rmq.ReceivedMessage) -> rmq.TransactionState:
        print(f"the broker asks about {message.keys[0]}")
        found = message.keys[0] in done
        return rmq.TransactionState.COMMIT if found else rmq.TransactionState.ROLLBACK

    config = {"transactionCheckInterval": 100, "transactionTimeOut": 200}
    with rmq.testing.Cluster(config=config) as cluster:
        with rmq.Producer("payments", cluster.namesrv, checker=check) as producer:

            def work(sent: rmq.SendResult) -> rmq.TransactionState:
                return rmq.TransactionState.COMMIT

            def crash(sent: rmq.SendResult) -> rmq.TransactionState:
                return rmq.TransactionState.UNKNOWN

            for number, execute in enumerate([work, crash, crash], start=1):
                key = f"order-{number}"
                producer.send_in_transaction(rmq.Message("paid", key, keys=[key]), execute)
            seen: set[str] = set()
            namesrv = cluster.namesrv
            with rmq.PushConsumer("readers", namesrv, "paid", start_from="first") as consumer:
                while seen != done:
                    for delivery in consumer.poll(timeout=10):
                        with delivery:
                            seen.add(delivery.body.decode())
                time.sleep(0.5)
                assert consumer.poll(timeout=0.1) == []
        print("delivered:", ", ".join(sorted(seen)))


if __name__ == "__main__":
    main()
