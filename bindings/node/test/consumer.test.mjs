// Taking messages: pushed, in order, to everybody, polled; answers; limits; ends.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'

import { Admin, Producer, PullConsumer, PushConsumer } from 'rmq'
import { openHandles, replyTo, startCluster } from 'rmq'

let cluster
let namesrv
let producer
let admin

before(async () => {
  cluster = await startCluster({ storage: 'memory' })
  namesrv = cluster.namesrv
  producer = await Producer.start({ namesrv, group: 'producers' })
  admin = await Admin.start({ namesrv })
})

after(async () => {
  await admin.close()
  await producer.close()
  await cluster.close()
  assert.deepEqual(openHandles(), [])
})

function consume(topic, more = {}) {
  const subscribe = { [topic]: '*' }
  const group = `c-${topic}`
  return PushConsumer.start({ namesrv, group, startFrom: 'first', subscribe, ...more })
}

test('every byte of a body arrives, and bodies of up to 4 MiB', async () => {
  const all = Buffer.from(Array.from({ length: 256 }, (_, i) => i))
  const large = Buffer.alloc(4 << 20, all)
  const text = 'text: \u00e4\u20ac\u{1f680}'
  const consumer = await consume('Bytes')
  for (const body of [all, large, text, new Uint8Array([0]), all.subarray(5, 7)]) {
    await producer.send({ topic: 'Bytes', body, shardingKey: 'one' })
  }
  const bodies = []
  for await (const delivery of consumer) {
    bodies.push(delivery.body)
    delivery.ack()
    if (bodies.length === 5) break
  }
  assert.deepEqual(bodies[0], all)
  assert.ok(bodies[1].equals(large))
  assert.equal(bodies[2].toString(), text)
  assert.deepEqual([...bodies[3]], [0])
  assert.deepEqual([...bodies[4]], [5, 6])
  await consumer.close()
})

test('a delivery has all that was sent, and where it is', async () => {
  const consumer = await consume('Fields')
  const properties = { a: '1', odd: 'x=y z' }
  const message = { topic: 'Fields', body: 'b', tags: 't', keys: ['k', 'l'], flag: 7, properties }
  const sent = await producer.send(message)
  for await (const delivery of consumer) {
    assert.equal(delivery.topic, 'Fields')
    assert.equal(delivery.msgId, sent.msgId)
    assert.equal(delivery.offsetMsgId, sent.offsetMsgId)
    assert.equal(delivery.queueOffset, sent.queueOffset)
    assert.equal(typeof delivery.queueOffset, 'bigint')
    assert.deepEqual({ ...delivery.queue }, { ...sent.queue })
    assert.equal(delivery.tags, 't')
    assert.deepEqual(delivery.keys, ['k', 'l'])
    assert.equal(delivery.flag, 7)
    assert.equal(delivery.properties.a, '1')
    assert.equal(delivery.properties.odd, 'x=y z')
    assert.equal(delivery.reconsumeTimes, 0)
    assert.ok(Math.abs(delivery.bornAt - Date.now()) < 600_000)
    delivery.ack()
    assert.ok(delivery.answered)
    break
  }
  await consumer.close()
})

test('a handler that fails has its message come again; the others go on', async () => {
  const own = await startCluster({ storage: 'memory', clock: 'manual' })
  const sender = await Producer.start({ namesrv: own.namesrv })
  for (const body of ['good', 'bad']) await sender.send({ topic: 'Fail', body })
  const consumer = await PushConsumer.start({
    namesrv: own.namesrv,
    group: 'fail',
    startFrom: 'first',
    subscribe: { Fail: '*' },
  })
  const seen = []
  const errors = []
  const moving = setInterval(() => void own.advance(60_000), 100)
  await consumer
    .run(
      async (delivery) => {
        seen.push(`${delivery.text} ${delivery.reconsumeTimes}`)
        if (delivery.text === 'bad' && delivery.reconsumeTimes === 0) throw new Error('first time')
        if (seen.length === 3) void consumer.close()
      },
      { onError: (error, delivery) => errors.push([error.message, delivery.text]) },
    )
    .finally(() => clearInterval(moving))
  assert.deepEqual(errors, [['first time', 'bad']])
  assert.deepEqual(seen.sort(), ['bad 0', 'bad 1', 'good 0'])
  await sender.close()
  await own.close()
})

test('a failure that nobody takes is a warning; onError may end the run', async () => {
  const consumer = await consume('Warned')
  await producer.send({ topic: 'Warned', body: 'x' })
  const warned = new Promise((resolve) => process.once('warning', resolve))
  const ran = consumer.run(() => Promise.reject(new Error('unseen')))
  const warning = await warned
  assert.equal(warning.name, 'RmqHandlerWarning')
  assert.match(warning.message, /unseen/)
  await consumer.close()
  await ran
  const second = await consume('Ended')
  await producer.send({ topic: 'Ended', body: 'x' })
  const fails = second.run(
    () => {
      throw new Error('fatal for us')
    },
    {
      onError: (error) => {
        throw error
      },
    },
  )
  await assert.rejects(fails, { message: 'fatal for us' })
  await second.close()
})

test('handlers work side by side up to the limit', async () => {
  const consumer = await consume('Wide')
  const count = 40
  for (let i = 0; i < count; i++) producer.sendOneway({ topic: 'Wide', body: `${i}` })
  let working = 0
  let most = 0
  const seen = new Set()
  await consumer.run(
    async (delivery) => {
      most = Math.max(most, ++working)
      await sleep(5)
      working--
      seen.add(delivery.text)
      if (seen.size === count) void consumer.close()
    },
    { concurrency: 8 },
  )
  assert.ok(most > 1 && most <= 8, `${most} at a time`)
  await assert.rejects(consumer.run(() => {}, { concurrency: 0 }), { code: 'RMQ_E_INVALID' })
})

test('in order: each queue one after the other', async () => {
  const topic = 'Ordered'
  await admin.createTopic(topic, { queues: 2, order: true })
  for (let i = 0; i < 30; i++) {
    await producer.send({ topic, body: `${i}`, shardingKey: `${i % 2}` })
  }
  const consumer = await consume(topic, { orderly: true })
  const seen = { 0: [], 1: [] }
  await consumer.run(
    async (delivery) => {
      const number = Number(delivery.text)
      await sleep(number % 3)
      seen[number % 2].push(number)
      if (seen[0].length + seen[1].length === 30) void consumer.close()
    },
    { concurrency: 4 },
  )
  for (const list of Object.values(seen)) {
    assert.equal(list.length, 15)
    assert.deepEqual(list, [...list].sort((a, b) => a - b))
  }
})

test('a broadcast reaches every member; a group divides', async () => {
  await admin.createTopic('Cast', { queues: 2 })
  const members = await Promise.all([1, 2].map(() => consume('Cast', { broadcasting: true })))
  const got = members.map(async (member) => {
    for await (const delivery of member) {
      delivery.ack()
      return delivery.text
    }
  })
  await producer.send({ topic: 'Cast', body: 'all' })
  assert.deepEqual(await Promise.all(got), ['all', 'all'])
  for (const member of members) await member.close()
})

test('tags and SQL choose', async () => {
  const filtered = await startCluster({ storage: 'memory', config: { enablePropertyFilter: true } })
  const sender = await Producer.start({ namesrv: filtered.namesrv })
  for (const n of [1, 2, 3, 4]) {
    const tags = n % 2 ? 'odd' : 'even'
    await sender.send({ topic: 'F', body: `${n}`, tags, properties: { n: `${n}` } })
  }
  const take = async (group, filter, count) => {
    const consumer = await PushConsumer.start({
      namesrv: filtered.namesrv,
      group,
      startFrom: 'first',
      subscribe: { F: filter },
    })
    const seen = []
    for await (const delivery of consumer) {
      delivery.ack()
      if (seen.push(delivery.text) === count) break
    }
    await consumer.close()
    return seen.sort()
  }
  assert.deepEqual(await take('tags', 'odd', 2), ['1', '3'])
  assert.deepEqual(await take('sql', { sql: 'n > 2' }, 2), ['3', '4'])
  await sender.close()
  await filtered.close()
})

test('delayed and timed messages come when the clock says so', async () => {
  const own = await startCluster({ storage: 'memory', clock: 'manual' })
  const sender = await Producer.start({ namesrv: own.namesrv })
  const consumer = await PushConsumer.start({
    namesrv: own.namesrv,
    group: 'late',
    startFrom: 'first',
    subscribe: { Late: '*' },
  })
  await sender.send({ topic: 'Late', body: 'level', delayLevel: 18 })
  await sender.send({ topic: 'Late', body: 'timer', delayMs: 3_600_000 })
  const seen = []
  const ran = consumer.run(async (delivery) => {
    seen.push(delivery.text)
    if (seen.length === 2) void consumer.close()
  })
  const moving = setInterval(() => void own.advance(3_600_000), 50)
  await ran
  clearInterval(moving)
  assert.deepEqual(seen.sort(), ['level', 'timer'])
  await sender.close()
  await own.close()
})

test('a request gets the reply of whoever consumes it', async () => {
  const consumer = await consume('Asked')
  const ran = consumer.run(async (delivery) => {
    await producer.send(replyTo(delivery, `re: ${delivery.text}`))
  })
  const reply = await producer.request({ topic: 'Asked', body: 'question' })
  assert.equal(reply.text, 're: question')
  const [plain] = [await producer.send({ topic: 'Plain2', body: 'x' })]
  const stored = await admin.messageAt(plain.offsetMsgId)
  assert.throws(() => replyTo(stored, 'x'), { code: 'RMQ_E_INVALID' })
  await consumer.close()
  await ran
})

test('waits are given up at an abort, and what comes then is not lost', async () => {
  const consumer = await consume('Abort')
  const given = new AbortController()
  const ran = consumer.run(() => {}, { signal: given.signal })
  setTimeout(() => given.abort(), 10)
  await assert.rejects(ran, { name: 'AbortError' })
  await producer.send({ topic: 'Abort', body: 'kept' })
  for await (const delivery of consumer) {
    assert.equal(delivery.text, 'kept')
    delivery.ack()
    break
  }
  await consumer.close()
  const puller = await PullConsumer.start({ namesrv, group: 'abort-pull', startFrom: 'first' })
  await puller.subscribe('Abort')
  const polled = new AbortController()
  const polling = puller.poll({ signal: polled.signal, timeoutMs: 60_000 })
  polled.abort()
  await assert.rejects(polling, { name: 'AbortError' })
  const found = await puller.poll({ timeoutMs: 30_000 })
  assert.equal(found[0].text, 'kept')
  await puller.close()
})

test('a loop ends when its consumer is closed', async () => {
  const consumer = await consume('Closed')
  const looped = (async () => {
    for await (const delivery of consumer) delivery.ack()
  })()
  await sleep(10)
  await consumer.close()
  await looped
  for await (const delivery of consumer) assert.fail(delivery.text)
})

test('polled: assigned queues, seek, position, commit', async () => {
  const topic = 'Polled'
  await admin.createTopic(topic, { queues: 1 })
  for (let i = 0; i < 10; i++) await producer.send({ topic, body: `${i}` })
  const consumer = await PullConsumer.start({ namesrv, group: 'polled', autoCommit: false })
  const [queue] = await consumer.queues(topic)
  await consumer.assign([queue])
  assert.equal(consumer.assignment().length, 1)
  await consumer.seek(queue, 'begin')
  const first = await consumer.poll({ max: 3 })
  assert.deepEqual(first.map((one) => one.text), ['0', '1', '2'])
  assert.equal(await consumer.position(queue), 3n)
  await consumer.seek(queue, 8n)
  const last = []
  while (last.length < 2) last.push(...(await consumer.poll()))
  assert.deepEqual(last.map((one) => one.text), ['8', '9'])
  assert.equal((await consumer.committed(queue)) ?? 0n, 0n)
  await consumer.commit()
  assert.equal(await consumer.committed(queue), 10n)
  assert.equal(await consumer.offsetAt(queue, 0), 0n)
  await consumer.pause([queue])
  assert.deepEqual(await consumer.poll({ timeoutMs: 10 }), [])
  await consumer.resume([queue])
  await assert.rejects(consumer.seek(queue, 3), { code: 'RMQ_E_INVALID' })
  await assert.rejects(consumer.position({ ...queue, queueId: 9 }), { code: 'RMQ_E_INVALID' })
  const offsets = await admin.groupOffsets('polled', topic)
  assert.equal(offsets[0].committed, 10n)
  await consumer.close()
})

test('administration: topics, groups, offsets, messages, any command', async () => {
  await admin.createTopic('Made', { queues: 3 })
  assert.ok((await admin.topics()).includes('Made'))
  const sent = await producer.send({ topic: 'Made', body: 'x', keys: 'found' })
  const offsets = await admin.topicOffsets('Made')
  assert.equal(offsets.length, 3)
  assert.equal(offsets.reduce((sum, one) => sum + (one.end - one.first), 0n), 1n)
  assert.equal((await admin.messageAt(sent.offsetMsgId)).text, 'x')
  const until = Date.now() + 20_000
  let found = []
  while (found.length === 0 && Date.now() < until) {
    found = await admin.messagesByKey('Made', 'found')
  }
  assert.equal(found[0].msgId, sent.msgId)
  assert.equal((await admin.messagesById('Made', sent.msgId)).length, 1)
  await admin.createGroup('made-group', { retryMaxTimes: 3 })
  await admin.deleteGroup('made-group')
  const clusters = await admin.invoke('clusterList')
  assert.deepEqual(Object.keys(clusters.clusterAddrTable), ['DefaultCluster'])
  await assert.rejects(admin.invoke('clusterlist'), { code: 'RMQ_E_INVALID' })
  await admin.deleteTopic('Made')
  assert.ok(!(await admin.topics()).includes('Made'))
})
