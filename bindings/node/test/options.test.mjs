// What clients are told besides where and what: namespaces, traces, batches; requests side by side.

import assert from 'node:assert/strict'
import { after, afterEach, before, beforeEach, test } from 'node:test'

import { Admin, replyTo } from 'rmq'
import { useCluster, waitFor } from 'rmq/testing'

const TRACES = 'RMQ_SYS_TRACE_TOPIC'

const rmq = useCluster(
  { before, after, beforeEach, afterEach },
  { config: { traceTopicEnable: true } },
)

test('two namespaces have topics and groups of the same names', async (context) => {
  const topic = 'Orders'
  const group = 'workers'
  const sides = ['east', 'west'].map(async (namespace) => {
    const producer = await rmq.producer({ namespace, group })
    const sent = await producer.send({ topic, body: `for ${namespace}` })
    assert.equal(sent.queue.topic, topic)
    const consumer = await rmq.consumer({ namespace, group, subscribe: { [topic]: '*' } })
    const seen = []
    const ran = consumer.run((delivery) => {
      assert.equal(delivery.topic, topic)
      seen.push(delivery.text)
    })
    await waitFor(() => consumer.queues().some((queue) => queue.topic === topic))
    return { producer, consumer, seen, ran }
  })
  const [east, west] = await Promise.all(sides)
  await waitFor(() => east.seen.length > 0 && west.seen.length > 0)
  await east.producer.send({ topic, body: 'more for east' })
  await waitFor(() => east.seen.length === 2)
  for (const { consumer, ran } of [east, west]) {
    await consumer.close()
    await ran
  }
  assert.deepEqual(east.seen.sort(), ['for east', 'more for east'])
  assert.deepEqual(west.seen, ['for west'])
  const names = await (await rmq.admin()).topics()
  for (const name of ['east%Orders', 'west%Orders', '%RETRY%east%workers']) {
    assert.ok(names.includes(name), name)
  }
  assert.ok(!names.includes(topic))
  const inside = await Admin.start({ namesrv: rmq.namesrv, namespace: 'west' })
  context.after(() => inside.close())
  const committed = await inside.groupOffsets(group, topic)
  assert.equal(committed.reduce((sum, one) => sum + one.committed, 0n), 1n)
})

test('traces tell what was sent and consumed', async () => {
  const topic = await rmq.topic()
  const producer = await rmq.producer({ group: 'traced', trace: true })
  const subscribe = { [topic]: '*' }
  const consumer = await rmq.consumer({ group: 'tracing', trace: true, subscribe })
  const sent = await producer.send({ topic, body: 'x', tags: 'red', keys: 'k1' })
  for await (const delivery of consumer) {
    delivery.ack()
    break
  }
  // What waits to be told is told at the end.
  await consumer.close()
  await producer.close()
  const captured = await rmq.capture(TRACES)
  const records = () => {
    const text = captured.messages.map((message) => message.text).join('')
    const all = text.split('\u0002').map((record) => record.split('\u0001'))
    return all.filter((fields) => fields.includes(sent.msgId))
  }
  await captured.waitFor(() => records().length === 3)
  const [pub, ...subs] = records().sort()
  assert.deepEqual(pub.slice(3, 8), ['traced', topic, sent.msgId, 'red', 'k1'])
  assert.deepEqual(subs.map(([kind]) => kind), ['SubAfter', 'SubBefore'])
  assert.equal(subs[0].at(-1), 'tracing')
  const admin = await rmq.admin()
  const found = await waitFor(async () => {
    const messages = await admin.messagesByKey(TRACES, sent.msgId)
    return messages.length > 0 && messages
  })
  assert.ok(found.some((message) => message.text.includes('Pub')))
})

test('messages wait for others and travel together, and each has its own result', async () => {
  const topic = await rmq.topic('batched', { queues: 1 })
  const stored = async () => {
    const [{ end }] = await (await rmq.admin()).topicOffsets(topic)
    return end
  }
  // A batch is full with 50 bytes; what is not full waits half a minute.
  const config = { batchMaxDelayMs: 30_000, batchMaxBytes: 50 }
  const producer = await rmq.producer({ autoBatch: true, config })
  const results = []
  const sends = Array.from({ length: 25 }, async (_, i) => {
    results[i] = await producer.send({ topic, body: String(i).padStart(5, '0') })
  })
  await Promise.all(sends.slice(0, 20))
  assert.equal(Object.keys(results).length, 20)
  assert.equal(await stored(), 20n, 'the last five are held')
  await producer.flush()
  await Promise.all(sends)
  assert.equal(await stored(), 25n)
  const captured = await rmq.capture(topic)
  const messages = await captured.waitFor(25)
  messages.sort((a, b) => Number(a.queueOffset - b.queueOffset))
  for (const [i, message] of messages.entries()) {
    assert.equal(message.text, String(i).padStart(5, '0'))
    assert.equal(message.queueOffset, BigInt(i))
    const { msgId, offsetMsgId, queueOffset } = results[i]
    assert.deepEqual(
      [msgId, offsetMsgId, queueOffset],
      [message.msgId, message.offsetMsgId, message.queueOffset],
    )
  }
})

test('many requests wait side by side, and each gets its own reply', async () => {
  const topic = await rmq.topic('asked')
  const count = 20
  const producer = await rmq.producer()
  const consumer = await rmq.consumer({ subscribe: { [topic]: '*' } })
  const asked = []
  const ran = consumer.run((delivery) => void asked.push(delivery), { concurrency: count })
  const ask = (body, timeoutMs) => producer.request({ topic, body }, { timeoutMs })
  const replies = Array.from({ length: count }, (_, i) => ask(`${i}`, 60_000))
  await assert.rejects(ask('nobody knows', 50), { code: 'RMQ_E_TIMEOUT' })
  const questions = await waitFor(() => {
    const known = asked.filter((one) => one.text !== 'nobody knows')
    return known.length === count && known
  })
  for (const question of questions.reverse()) {
    await producer.send(replyTo(question, `re: ${question.text}`))
  }
  const texts = (await Promise.all(replies)).map((reply) => reply.text)
  assert.deepEqual(texts, Array.from({ length: count }, (_, i) => `re: ${i}`))
  await consumer.close()
  await ran
})
