// A cluster that loses a master: what was acknowledged is still there.

import { Producer, PushConsumer, startCluster } from 'rmq'

const cluster = await startCluster({ deployment: 'sync-double-write', masters: 2, flush: 'sync' })
for (const { name, role, address } of cluster.members()) console.log(`${name}: ${role} ${address}`)
const { namesrv } = cluster

const producer = await Producer.start({ namesrv, group: 'senders' })
const sent = new Set()
for (let i = 0; i < 100; i++) {
  const { msgId } = await producer.send({ topic: 'Survives', body: `message ${i}` })
  sent.add(msgId)
}

await cluster.kill('broker-a')
console.log('broker-a was killed; its slave still gives out what it has')

const subscribe = { Survives: '*' }
const reading = { namesrv, group: 'readers', startFrom: 'first', subscribe }
const consumer = await PushConsumer.start(reading)
for await (const delivery of consumer) {
  sent.delete(delivery.msgId)
  delivery.ack()
  if (sent.size === 0) break
}
console.log('every message that was acknowledged has arrived')

await consumer.close()
await producer.close()
await cluster.close()
