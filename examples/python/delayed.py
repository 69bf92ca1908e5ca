"""Messages for later: a delay, a delay level, a point in time; and a clock that is moved."""

from datetime import datetime, timedelta, timezone

import rmq


def main() -> None:
    with rmq.testing.Cluster(manual_clock=True) as cluster:
        in_two_hours = datetime.now(timezone.utc) + timedelta(hours=2)
        with rmq.Producer("senders", cluster.namesrv) as producer:
            producer.send(rmq.Message("reminders", b"in ten seconds", delay=10.0))
            producer.send(rmq.Message("reminders", b"level 5: in a minute", delay_level=5))
            producer.send(rmq.Message("reminders", b"in two hours", deliver_at=in_two_hours))
        namesrv = cluster.namesrv
        with rmq.PushConsumer("readers", namesrv, "reminders", start_from="first") as consumer:
            assert consumer.poll(timeout=0.1) == []
            for seconds in (11.0, 60.0, 2 * 3600.0):
                cluster.advance(seconds)
                (delivery,) = consumer.poll(timeout=10)
                with delivery:
                    print(f"after {seconds:.0f} s more: {delivery.body.decode()}")


if __name__ == "__main__":
    main()
