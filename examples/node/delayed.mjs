// Messages for later, on a clock that the program moves.

import { Producer, PushConsumer, startCluster } from 'rmq'

const HOUR_MS = 3_600_000
const cluster = await startCluster({ clock: 'manual' })
const { namesrv } = cluster
const producer = await Producer.start({ namesrv, group: 'senders' })
await producer.send({ topic: 'Later', body: 'in one second', delayLevel: 1 })
await producer.send({ topic: 'Later', body: 'in an hour', delayMs: HOUR_MS })

const subscribe = { Later: '*' }
const reading = { namesrv, group: 'readers', startFrom: 'first', subscribe }
const consumer = await PushConsumer.start(reading)
let count = 0
for await (const delivery of consumer) {
  console.log(`received "${delivery.text}"`)
  delivery.ack()
  if (++count === 2) break
  // Nobody waits for an hour.
  await cluster.advance(HOUR_MS)
}

await consumer.close()
await producer.close()
await cluster.close()
