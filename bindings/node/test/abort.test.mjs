// Every wait can be given up, before it begins and while it waits.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Admin, Broker, NameServer, Producer, PullConsumer, PushConsumer } from 'rmq'
import { openHandles, startCluster } from 'rmq'

const topic = 'T'

/** What waits, by name; each is given the options with the signal. */
function waits({ cluster, producer, consumer, puller, admin, queue }) {
  const { namesrv } = cluster
  const group = 'other'
  const message = { topic, body: 'x' }
  return {
    nameServer: (options) => NameServer.start({}, options),
    broker: (options) => Broker.start({}, options),
    cluster: (options) => startCluster({ ...options, storage: 'memory' }),
    producer: (options) => Producer.start({ namesrv }, options),
    pushConsumer: (options) =>
      PushConsumer.start({ namesrv, group, subscribe: { [topic]: '*' } }, options),
    pullConsumer: (options) => PullConsumer.start({ namesrv, group }, options),
    admin: (options) => Admin.start({ namesrv }, options),
    send: (options) => producer.send(message, options),
    sendBatch: (options) => producer.sendBatch([message], options),
    request: (options) => producer.request(message, { ...options, timeoutMs: 500 }),
    transaction: (options) => producer.transaction(message, async () => 'commit', options),
    queues: (options) => producer.queues('Unknown', options),
    flush: (options) => producer.flush(options),
    run: (options) => consumer.run(() => {}, options),
    subscribe: (options) => consumer.subscribe('Another', '*', options),
    unsubscribe: (options) => consumer.unsubscribe('Another', options),
    poll: (options) => puller.poll({ ...options, timeoutMs: 60_000 }),
    assign: (options) => puller.assign([queue], options),
    committed: (options) => puller.committed(queue, options),
    offsetAt: (options) => puller.offsetAt(queue, 0, options),
    invoke: (options) => admin.invoke('clusterList', {}, options),
    createTopic: (options) => admin.createTopic('Made', options),
    topicOffsets: (options) => admin.topicOffsets(topic, options),
    messagesByKey: (options) => admin.messagesByKey(topic, 'k', options),
    await: (options) => cluster.ready(options),
  }
}

test('every wait is given up at an abort', async () => {
  const cluster = await startCluster({ storage: 'memory' })
  const { namesrv } = cluster
  const producer = await Producer.start({ namesrv, group: 'p' })
  const { queue } = await producer.send({ topic, body: 'x' })
  const told = { namesrv, group: 'c', subscribe: { [topic]: '*' } }
  const consumer = await PushConsumer.start(told)
  const puller = await PullConsumer.start({ namesrv, group: 'q' })
  const admin = await Admin.start({ namesrv })
  const all = Object.entries(waits({ cluster, producer, consumer, puller, admin, queue }))
  const aborted = AbortSignal.abort(new Error('before'))
  for (const [name, wait] of all) {
    await assert.rejects(wait({ signal: aborted }), { message: 'before' }, name)
  }
  // Nobody answers from now on, so that all that asks waits.
  await cluster.pause('broker-a')
  await cluster.pause('namesrv-0')
  for (const [name, wait] of all) {
    const given = new AbortController()
    const waiting = wait({ signal: given.signal })
    given.abort(new Error('while it waits'))
    await assert.rejects(waiting, { message: 'while it waits' }, name)
  }
  await cluster.resume('namesrv-0')
  await cluster.resume('broker-a')
  assert.equal(openHandles().length, 5, 'what was started nevertheless was closed')
  assert.equal((await producer.send({ topic, body: 'y' })).status, 'SEND_OK')
  for (const one of [admin, puller, consumer, producer, cluster]) await one.close()
})
