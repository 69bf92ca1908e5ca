// A nameserver, a broker, a producer and a consumer in one process.

import { Broker, NameServer, Producer, PushConsumer } from 'rmq'

const TOPIC = 'Quickstart'

// Servers of this process, on free ports, in a folder that goes away. A cluster that runs already
// needs nothing of this: give its nameservers to the clients below.
const names = await NameServer.start()
const broker = await Broker.start({ namesrvAddr: names.address })
const namesrv = names.address

const producer = await Producer.start({ namesrv, group: 'senders' })
const sent = await producer.send({ topic: TOPIC, body: 'hello', tags: 'greeting', keys: 'key-1' })
console.log(`sent ${sent.msgId} to queue ${sent.queue.queueId}: ${sent.status}`)
await producer.send({ topic: TOPIC, body: 'hello again', shardingKey: 'user-1' })

const subscribe = { [TOPIC]: '*' }
const reading = { namesrv, group: 'readers', startFrom: 'first', subscribe }
const consumer = await PushConsumer.start(reading)
let count = 0
for await (const delivery of consumer) {
  console.log(`received "${delivery.text}"`)
  delivery.ack()
  if (++count === 2) break
}

for (const one of [consumer, producer, broker, names]) await one.close()
