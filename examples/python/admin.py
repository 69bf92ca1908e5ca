"""Looks at a cluster and changes it."""

import json

import rmq


def main() -> None:
    with (
        rmq.testing.Cluster(masters=2) as cluster,
        rmq.Admin(cluster.namesrv) as admin,
        rmq.Producer("senders", cluster.namesrv) as producer,
    ):
        for broker in admin.brokers():
            print(f"{broker.cluster}: {broker.broker_name} {broker.broker_id} at {broker.address}")
        admin.create_topic("orders", queues=4)
        admin.create_group("readers", retry_max_times=3)
        sent = producer.send(rmq.Message("orders", b"x", keys=["k1"]))
        print(admin.message_at(sent.offset_msg_id))
        for offsets in admin.topic_offsets("orders"):
            queue = offsets.queue
            print(f"{queue.broker_name} {queue.queue_id}: {offsets.first} to {offsets.end}")
        # Every command of mqadmin, by its name.
        print(json.dumps(admin.invoke("topicRoute", {"topic": "orders"}), indent=2)[:200])
        admin.delete_topic("orders")


if __name__ == "__main__":
    main()
