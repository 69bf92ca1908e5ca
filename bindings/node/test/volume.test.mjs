// Many messages: none is lost, and memory does not follow their number.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'

import { Admin, Producer, PushConsumer, startCluster } from 'rmq'

const COUNT = Number(process.env.RMQ_NODE_MESSAGES ?? 100_000)

let cluster
let producer
let admin

before(async () => {
  cluster = await startCluster({ storage: 'memory' })
  const { namesrv } = cluster
  producer = await Producer.start({ namesrv, group: 'p', sendTimeoutMs: 60_000 })
  admin = await Admin.start({ namesrv })
})

after(async () => {
  await admin.close()
  await producer.close()
  await cluster.close()
})

test(`${COUNT} messages are sent and consumed, and none is lost`, async () => {
  const topic = 'Many'
  await admin.createTopic(topic, { queues: 4 })
  const { namesrv } = cluster
  const subscribe = { [topic]: '*' }
  const consumer = await PushConsumer.start({ namesrv, group: 'c', startFrom: 'first', subscribe })
  const seen = new Uint8Array(COUNT)
  let distinct = 0
  const ran = consumer.run(
    (delivery) => {
      const number = Number(delivery.text)
      if (seen[number]++ === 0 && ++distinct === COUNT) void consumer.close()
    },
    { concurrency: 256 },
  )
  let next = 0
  const sender = async () => {
    while (next < COUNT) await producer.send({ topic, body: String(next++) })
  }
  await Promise.all(Array.from({ length: 500 }, sender))
  const offsets = await admin.topicOffsets(topic)
  const stored = offsets.reduce((sum, one) => sum + (one.end - one.first), 0n)
  assert.ok(stored >= BigInt(COUNT), `${stored} are stored`)
  await ran
  assert.equal(distinct, COUNT)
})

test('a slow handler needs no more memory than its limits', async () => {
  const topic = 'Slow'
  await admin.createTopic(topic, { queues: 1 })
  const body = Buffer.alloc(64 << 10, 1)
  const count = 2_000
  let next = 0
  const sender = async () => {
    while (next++ < count) await producer.send({ topic, body })
  }
  await Promise.all(Array.from({ length: 16 }, sender))
  const total = count * body.length
  const subscribe = { [topic]: '*' }
  const settled = () => process.memoryUsage().external + process.memoryUsage().arrayBuffers
  const before = settled()
  const rss = process.memoryUsage.rss()
  const consumer = await PushConsumer.start({
    namesrv: cluster.namesrv,
    group: 'slow',
    startFrom: 'first',
    subscribe,
    maxMessagesPerQueue: 64,
  })
  let count2 = 0
  const ran = consumer.run(async () => {
    count2++
    await sleep(5)
  })
  let most = 0
  let mostRss = 0
  while (count2 < 200) {
    most = Math.max(most, settled() - before)
    mostRss = Math.max(mostRss, process.memoryUsage.rss() - rss)
    await sleep(20)
  }
  // 125 MiB wait at the broker; here are the message that is worked on, and those before it that
  // were not collected yet, and in the native half 64 and what one pull brings.
  assert.ok(total > 100 << 20)
  assert.ok(most < 40 << 20, `${most} bytes of buffers`)
  assert.ok(mostRss < 90 << 20, `${mostRss} bytes resident`)
  await consumer.close()
  await ran
})
