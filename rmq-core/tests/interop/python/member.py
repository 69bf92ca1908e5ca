"""A member of a group that sends and consumes, as Member.java does; commands come by stdin.

send PREFIX COUNT    sends messages with the bodies PREFIX0000 and so on
leave                ends
"""

import argparse
import sys
import threading

import rmq


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("-n", "--topic", "--group"):
        parser.add_argument(name, required=True)
    given = parser.parse_args()
    lock = threading.Lock()

    def say(line: str) -> None:
        with lock:
            print(line, flush=True)

    def handle(delivery: rmq.Delivery) -> None:
        say(f"got {delivery.body.decode().rstrip()} {delivery.reconsume_times}")

    group, topic, namesrv = given.group, given.topic, given.n
    with (
        rmq.Producer(f"{group}_senders", namesrv, send_timeout=10) as producer,
        rmq.PushConsumer(
            group, namesrv, topic, start_from="first", poll_name_server_interval=1000
        ) as consumer,
    ):
        thread = threading.Thread(target=consumer.run, args=(handle,), kwargs={"threads": 4})
        thread.start()
        say("ready")
        for line in sys.stdin:
            words = line.split()
            if words[0] == "leave":
                break
            for number in range(int(words[2])):
                # Some are compressed on the way.
                filler = " " * 5000 if number % 2 else ""
                producer.send(rmq.Message(topic, f"{words[1]}{number:04}{filler}"))
            say(f"sent {words[1]}")
        consumer.close()
        thread.join()
    say("left")


if __name__ == "__main__":
    main()
