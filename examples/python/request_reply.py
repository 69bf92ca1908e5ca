"""A question that waits for its answer."""

import threading

import rmq


def main() -> None:
    with (
        rmq.testing.Cluster() as cluster,
        rmq.Producer("askers", cluster.namesrv) as producer,
        rmq.PushConsumer("answerers", cluster.namesrv, "questions", start_from="first") as consumer,
    ):

        def answer(delivery: rmq.Delivery) -> None:
            number = int(delivery.body)
            producer.send(delivery.reply(f"{number * number}"))

        thread = threading.Thread(target=consumer.run, args=(answer,))
        thread.start()
        for number in range(5):
            reply = producer.request(rmq.Message("questions", f"{number}"), timeout=10)
            print(f"{number} squared is {reply.body.decode()}")
        consumer.close()
        thread.join()


if __name__ == "__main__":
    main()
