// Sending: every kind of message, errors, limits, giving up.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { Producer, RmqError, openHandles, startCluster } from 'rmq'

let cluster
let producer

before(async () => {
  cluster = await startCluster({ storage: 'memory', config: { recallMessageEnable: true } })
  producer = await Producer.start({ namesrv: cluster.namesrv, group: 'g' })
})

after(async () => {
  await producer.close()
  await cluster.close()
  assert.deepEqual(openHandles(), [])
})

test('a message is stored and the promise says where', async () => {
  const sent = await producer.send({ topic: 'Plain', body: 'text', tags: 'a', keys: ['k', 'l'] })
  assert.equal(sent.status, 'SEND_OK')
  assert.equal(sent.queue.topic, 'Plain')
  assert.equal(typeof sent.queueOffset, 'bigint')
  assert.match(sent.msgId, /^[0-9A-F]{32}$/)
  assert.ok(producer.clientId.length > 0)
})

test('messages of one key go to one queue, and to the queue that is named', async () => {
  const queues = new Set()
  for (let i = 0; i < 8; i++) {
    const sent = await producer.send({ topic: 'Sharded', body: 'x', shardingKey: 'user-1' })
    queues.add(sent.queue.queueId)
  }
  assert.equal(queues.size, 1)
  const all = await producer.queues('Sharded')
  assert.equal(all.length, 4)
  for (const queue of all) {
    const sent = await producer.send({ topic: 'Sharded', body: 'x' }, { queue })
    assert.deepEqual({ ...sent.queue }, { ...queue })
  }
})

test('batches, one-way messages, flush', async () => {
  await producer.send({ topic: 'Batch', body: 'x' })
  const bodies = Array.from({ length: 10 }, (_, i) => ({ topic: 'Batch', body: `${i}` }))
  const sent = await producer.sendBatch(bodies)
  assert.equal(sent.msgId.split(',').length, 10)
  for (const message of bodies) producer.sendOneway(message)
  await producer.flush()
  await assert.rejects(producer.sendBatch([]), { code: 'RMQ_E_INVALID' })
})

test('what no broker would take is refused at once', async () => {
  const wrong = [
    { topic: 'no space', body: 'x' },
    { topic: 'T', body: 'x', delayMs: -1 },
    { topic: 'T', body: 'x', deliverAt: new Date(NaN) },
    { topic: 'T', body: 5 },
    { body: 'x' },
  ]
  for (const message of wrong) {
    const failed = (error) => error instanceof RmqError && error.code === 'RMQ_E_INVALID'
    await assert.rejects(producer.send(message), failed, JSON.stringify(message))
    assert.throws(() => producer.sendOneway(message), failed)
  }
  const large = { topic: 'T', body: Buffer.alloc((4 << 20) + 1) }
  await assert.rejects(producer.send(large), { code: 'RMQ_E_LIMIT' })
  await assert.rejects(Producer.start({ namesrv: '' }), { code: 'RMQ_E_INVALID' })
  await assert.rejects(Producer.start({ namesrv: 'a:1', group: 'not a group' }), {
    code: 'RMQ_E_INVALID',
  })
})

test('a refusal has the code of the broker', async () => {
  const strict = await startCluster({ storage: 'memory', autoCreateTopics: false })
  const own = await Producer.start({ namesrv: strict.namesrv })
  await assert.rejects(own.send({ topic: 'Nowhere', body: 'x' }), (error) => {
    assert.ok(error.code === 'RMQ_E_NOT_FOUND' || error.code === 'RMQ_E_BROKER', error.code)
    assert.match(error.stack, /producer\.test\.mjs/)
    return true
  })
  await own.close()
  await strict.close()
})

test('sends end in time, and at an abort, when nobody answers', async () => {
  const mute = await startCluster({ storage: 'memory' })
  const own = await Producer.start({ namesrv: mute.namesrv, retries: 0 })
  await own.send({ topic: 'T', body: 'x' })
  await mute.pause('broker-a')
  const late = own.send({ topic: 'T', body: 'x' }, { timeoutMs: 50 })
  await assert.rejects(late, { code: 'RMQ_E_TIMEOUT', retriable: true })
  const given = new AbortController()
  const waits = [
    own.send({ topic: 'T', body: 'x' }, { signal: given.signal }),
    own.sendBatch([{ topic: 'T', body: 'x' }], { signal: given.signal }),
    own.request({ topic: 'T', body: 'x' }, { signal: given.signal }),
    own.transaction({ topic: 'T', body: 'x' }, () => 'commit', { signal: given.signal }),
    own.flush({ signal: given.signal }),
    own.queues('Unknown', { signal: given.signal }),
  ]
  given.abort()
  for (const wait of waits) await assert.rejects(wait, { name: 'AbortError' })
  await assert.rejects(own.flush({ timeoutMs: 0 }), { code: 'RMQ_E_TIMEOUT' })
  await assert.rejects(own.send({ topic: 'T', body: 'x' }, { timeoutMs: NaN }), {
    code: 'RMQ_E_INVALID',
  })
  await own.close({ timeoutMs: 0 })
  await mute.close()
})

test('more sends than the limit wait their turn', async (context) => {
  const own = await Producer.start({ namesrv: cluster.namesrv, maxInFlight: 4 })
  context.after(() => own.close())
  const topic = 'Limited'
  // While a topic is being made, a message may overtake the one that it is made for.
  await own.send({ topic, body: 'first' })
  const sends = Array.from({ length: 200 }, (_, i) =>
    own.send({ topic, body: `${i}`, shardingKey: 'k' }),
  )
  const sent = await Promise.all(sends)
  const offsets = sent.map((one) => one.queueOffset)
  assert.deepEqual(offsets, [...offsets].sort((a, b) => Number(a - b)))
  const given = new AbortController()
  const some = Array.from({ length: 20 }, () =>
    own.send({ topic, body: 'x' }, { signal: given.signal }),
  )
  given.abort(new Error('enough'))
  const ended = await Promise.allSettled(some)
  assert.ok(ended.every((one) => one.status === 'rejected'))
  await own.send({ topic, body: 'x' })
  await own.close()
  await assert.rejects(own.send({ topic, body: 'x' }), { code: 'RMQ_E_CLOSED', fatal: true })
})

test('transactions are committed, rolled back, and checked', async () => {
  const decided = []
  const checks = await startCluster({
    storage: 'memory',
    config: { transactionCheckInterval: 100, transactionTimeOut: 10 },
  })
  let checked
  const asked = new Promise((resolve) => (checked = resolve))
  const own = await Producer.start({
    namesrv: checks.namesrv,
    group: 'tx',
    checker: async (message) => {
      checked(message)
      return 'commit'
    },
  })
  for (const outcome of ['commit', 'rollback']) {
    const sent = await own.transaction({ topic: 'Tx', body: outcome }, async (half) => {
      decided.push(half.msgId)
      return outcome
    })
    assert.equal(sent.outcome, outcome)
    assert.ok(decided.includes(sent.msgId) && sent.transactionId)
  }
  const failing = own.transaction({ topic: 'Tx', body: 'thrown' }, () => {
    throw new Error('no idea')
  })
  await assert.rejects(failing, { message: 'no idea' })
  const message = await asked
  assert.equal(message.text, 'thrown')
  await own.close()
  await checks.close()
})

test('a timed message is taken back', async () => {
  const message = { topic: 'Recalled', body: 'x', delayMs: 3_600_000 }
  const { msgId, recallHandle } = await producer.send(message)
  assert.equal(await producer.recall('Recalled', recallHandle), msgId)
  await assert.rejects(producer.recall('Recalled', 'nonsense'), { code: 'RMQ_E_INVALID' })
})
