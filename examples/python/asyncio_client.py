"""Sends and consumes on an event loop."""

import asyncio

import rmq

MESSAGES = 1000


async def main() -> None:
    async with (
        rmq.aio.Cluster() as cluster,
        rmq.aio.Producer("senders", cluster.namesrv) as producer,
        rmq.aio.PushConsumer("readers", cluster.namesrv, "T", start_from="first") as consumer,
    ):
        async with asyncio.TaskGroup() as group:
            for i in range(MESSAGES):
                group.create_task(producer.send(rmq.Message("T", f"{i}")))
        print(f"sent {MESSAGES}")
        seen: set[bytes] = set()
        async with asyncio.timeout(30):
            async for delivery in consumer:
                with delivery:
                    seen.add(delivery.body)
                if len(seen) == MESSAGES:
                    break
        print(f"received {len(seen)}")


if __name__ == "__main__":
    asyncio.run(main())
