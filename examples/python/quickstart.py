"""Sends ten messages through a broker in this process, and consumes them.

    python quickstart.py                      with servers of its own
    python quickstart.py 127.0.0.1:9876       with those of a nameserver
"""

import sys

import rmq


def run(namesrv: str) -> None:
    with rmq.Producer("quickstart-senders", namesrv) as producer:
        for i in range(10):
            sent = producer.send(rmq.Message("quickstart", f"hello {i}", keys=[f"key-{i}"]))
            print(f"sent {sent.msg_id} to queue {sent.queue.queue_id} at {sent.queue_offset}")
    left = 10
    group = "quickstart-readers"
    with rmq.PushConsumer(group, namesrv, "quickstart", start_from="first") as consumer:
        for delivery in consumer:
            with delivery:
                print(f"received {delivery.body.decode()}")
            left -= 1
            if left == 0:
                break


def main() -> None:
    if len(sys.argv) > 1:
        run(sys.argv[1])
        return
    with rmq.NameServer() as nameserver, rmq.Broker(namesrv=nameserver.address):
        run(nameserver.address)


if __name__ == "__main__":
    main()
