// A message that is delivered if, and only if, something else happened.

import { Producer, PushConsumer, startCluster } from 'rmq'

const cluster = await startCluster()
const { namesrv } = cluster
const booked = new Set()
const producer = await Producer.start({
  namesrv,
  group: 'bookings',
  // Brokers ask when they were not told, for example after a crash of this process.
  checker: async (message) => (booked.has(message.keys[0]) ? 'commit' : 'rollback'),
})

for (const [key, works] of [['booking-1', true], ['booking-2', false]]) {
  const message = { topic: 'Booked', body: `${key} is booked`, keys: key }
  const { outcome } = await producer.transaction(message, async () => {
    if (!works) return 'rollback'
    booked.add(key)
    return 'commit'
  })
  console.log(`${key}: ${outcome}`)
}

const subscribe = { Booked: '*' }
const reading = { namesrv, group: 'readers', startFrom: 'first', subscribe }
const consumer = await PushConsumer.start(reading)
for await (const delivery of consumer) {
  console.log(`received "${delivery.text}"`)
  delivery.ack()
  break
}

await consumer.close()
await producer.close()
await cluster.close()
