// Messages of one customer are worked on one after the other, those of several side by side.

import { Producer, PushConsumer, startCluster } from 'rmq'

const cluster = await startCluster()
const { namesrv } = cluster
const producer = await Producer.start({ namesrv, group: 'senders' })
const customers = ['anna', 'bert', 'carla']
const steps = ['ordered', 'paid', 'shipped']
for (const step of steps) {
  for (const customer of customers) {
    await producer.send({ topic: 'Orders', body: step, keys: customer, shardingKey: customer })
  }
}

const consumer = await PushConsumer.start({
  namesrv,
  group: 'workers',
  startFrom: 'first',
  subscribe: { Orders: '*' },
  orderly: true,
})
const seen = Object.fromEntries(customers.map((customer) => [customer, []]))
let count = 0
await consumer.run(
  (delivery) => {
    seen[delivery.keys[0]].push(delivery.text)
    if (++count === customers.length * steps.length) void consumer.close()
  },
  { concurrency: 3 },
)
for (const customer of customers) console.log(`${customer}: ${seen[customer].join(', ')}`)

await producer.close()
await cluster.close()
