// What the channels of node:diagnostics_channel tell of sends and of consumption.

import assert from 'node:assert/strict'
import { AsyncLocalStorage } from 'node:async_hooks'
import { tracingChannel } from 'node:diagnostics_channel'
import { after, afterEach, before, beforeEach, test } from 'node:test'

import { replyTo } from 'rmq'
import { useCluster, waitFor } from 'rmq/testing'

const rmq = useCluster({ before, after, beforeEach, afterEach })

/** Notes every event of a channel until the test is over. */
function watch(context, name, more = {}) {
  const seen = []
  const channel = tracingChannel(name)
  const kinds = ['start', 'end', 'asyncStart', 'asyncEnd', 'error']
  const subscribers = Object.fromEntries(
    kinds.map((kind) => [
      kind,
      (trace) => {
        seen.push([kind, trace])
        more[kind]?.(trace)
      },
    ]),
  )
  channel.subscribe(subscribers)
  context.after(() => channel.unsubscribe(subscribers))
  return seen
}

const ended = (seen, kind = 'asyncEnd') =>
  seen.filter(([one]) => one === kind).map(([, trace]) => trace)

test('every kind of send is told of, and may be given properties', async (context) => {
  const topic = await rmq.topic()
  const producer = await rmq.producer()
  const consumer = await rmq.consumer({ subscribe: { [topic]: '*' } })
  const traceparents = []
  const ran = consumer.run(async (delivery) => {
    traceparents.push(delivery.properties.traceparent)
    if (delivery.text === 'question') await producer.send(replyTo(delivery, 'answer'))
  })
  const message = Object.freeze({ topic, body: 'x', properties: Object.freeze({ own: '1' }) })
  await producer.send(message)
  await waitFor(() => traceparents.length === 1)
  let count = 0
  const seen = watch(context, 'rmq:send', {
    start: ({ messages }) => {
      for (const one of messages) one.properties.traceparent = `00-${++count}`
    },
  })
  const sent = await producer.send(message)
  const batch = await producer.sendBatch([message, message])
  producer.sendOneway(message)
  const reply = await producer.request({ topic, body: 'question' })
  const done = await producer.transaction(message, async () => 'commit')
  const told = ended(seen)
  // The reply is a send of its own, and may be told of before or after its request.
  const byResult = (result) => told.find((trace) => trace.result === result)
  assert.equal(byResult(sent).operation, 'send')
  assert.equal(byResult(sent).clientId, producer.clientId)
  assert.equal(byResult(sent).messages[0].properties.own, '1')
  assert.equal(byResult(batch).messages.length, 2)
  assert.equal(byResult(reply).operation, 'request')
  assert.equal(byResult(done).operation, 'transaction')
  const [oneway] = ended(seen, 'end').filter(({ operation }) => operation === 'sendOneway')
  assert.equal(oneway.error, undefined)
  await waitFor(() => traceparents.length === 7)
  const wanted = [undefined, '00-1', '00-2', '00-3', '00-4', '00-5']
  for (const one of wanted) assert.ok(traceparents.includes(one), one)
  assert.deepEqual(message.properties, { own: '1' })
  const wrong = producer.send({ topic: 'no good', body: 'x' })
  await assert.rejects(wrong, { code: 'RMQ_E_INVALID' })
  assert.equal(ended(seen, 'error').at(-1).error.code, 'RMQ_E_INVALID')
  assert.throws(() => producer.sendOneway({ topic: 'no good', body: 'x' }))
  assert.equal(ended(seen, 'error').at(-1).operation, 'sendOneway')
  await consumer.close()
  await ran
})

test('work on messages is told of, and runs in what the subscriber gives', async (context) => {
  const topic = await rmq.topic()
  const group = rmq.group()
  const producer = await rmq.producer()
  for (const body of ['good', 'bad']) await producer.send({ topic, body })
  const store = new AsyncLocalStorage()
  const { start } = tracingChannel('rmq:consume')
  start.bindStore(store, (trace) => `span of ${trace.delivery.text}`)
  context.after(() => start.unbindStore(store))
  const seen = watch(context, 'rmq:consume')
  const consumer = await rmq.consumer({ group, subscribe: { [topic]: '*' } })
  const spans = []
  const ran = consumer.run(
    async (delivery) => {
      await null
      spans.push(store.getStore())
      if (delivery.text === 'bad') throw new Error('on purpose')
    },
    { onError: () => {} },
  )
  await waitFor(() => ended(seen).length === 2)
  await consumer.close()
  await ran
  assert.deepEqual(spans.sort(), ['span of bad', 'span of good'])
  const [failed] = ended(seen, 'error')
  assert.equal(failed.error.message, 'on purpose')
  assert.deepEqual([failed.group, failed.delivery.text], [group, 'bad'])
})

test('a loop tells when it is done with a message', async (context) => {
  const topic = await rmq.topic()
  const producer = await rmq.producer()
  for (const body of ['a', 'b']) await producer.send({ topic, body, shardingKey: 'one' })
  const seen = watch(context, 'rmq:consume')
  const consumer = await rmq.consumer({ subscribe: { [topic]: '*' } })
  let count = 0
  for await (const delivery of consumer) {
    assert.equal(ended(seen, 'start').length, count + 1)
    assert.equal(ended(seen).length, count)
    delivery.ack()
    if (++count === 2) break
  }
  await waitFor(() => ended(seen).length === 2)
  assert.deepEqual(ended(seen).map((trace) => trace.delivery.text).sort(), ['a', 'b'])
  assert.ok(ended(seen).every((trace) => trace.delivery.answered))
})
