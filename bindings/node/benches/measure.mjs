// What starting, sending and consuming take from Node. Run it on a release build:
//
//     npm run build && node benches/measure.mjs [SECONDS]
//
// Every figure is of this one process: servers, clients and JavaScript share its cores.

import { spawnSync } from 'node:child_process'
import { cpus } from 'node:os'

import { Admin, Producer, PushConsumer, startCluster } from 'rmq'

const SECONDS = Number(process.argv[2] ?? 5)
const BODY_BYTES = 1_024
const ROUNDS = 50

const row = (what, figure) => console.log(`| ${what} | ${figure} |`)
const ms = (value) => `${value.toFixed(1)} ms`
const rate = (count, took) => `${Math.round(count / (took / 1_000)).toLocaleString('en')} a second`

function median(values) {
  return [...values].sort((a, b) => a - b)[values.length >> 1]
}

async function timed(body) {
  const began = performance.now()
  const result = await body()
  return [performance.now() - began, result]
}

async function starts(options) {
  const opened = []
  const closed = []
  for (let round = 0; round < ROUNDS; round++) {
    const [took, cluster] = await timed(() => startCluster({ storage: 'memory', ...options }))
    opened.push(took)
    closed.push((await timed(() => cluster.close()))[0])
  }
  return [median(opened), median(closed)]
}

/** A process from its start to a message that came through a cluster of its own. */
function wholeProcess() {
  const program = `
    import { Producer, PushConsumer, startCluster } from 'rmq'
    const cluster = await startCluster({ storage: 'memory' })
    const { namesrv } = cluster
    const producer = await Producer.start({ namesrv })
    await producer.send({ topic: 'T', body: 'x' })
    await producer.close()
    await cluster.close()`
  const cwd = new URL('..', import.meta.url)
  const took = []
  for (let round = 0; round < 10; round++) {
    const began = performance.now()
    const args = ['--input-type=module', '--eval', program]
    const { status, stderr } = spawnSync(process.execPath, args, { cwd, encoding: 'utf8' })
    if (status !== 0) throw new Error(stderr)
    took.push(performance.now() - began)
  }
  return median(took)
}

/** Sends for some seconds, so many at a time. */
async function send(producer, inFlight, one) {
  const until = performance.now() + SECONDS * 1_000
  let count = 0
  const sender = async () => {
    while (performance.now() < until) {
      const more = await one(producer)
      count += more
    }
  }
  const [took] = await timed(() => Promise.all(Array.from({ length: inFlight }, sender)))
  return [count, took]
}

async function latency(producer, topic, body) {
  const took = []
  for (let i = 0; i < 2_000; i++) {
    took.push((await timed(() => producer.send({ topic, body })))[0])
  }
  took.sort((a, b) => a - b)
  return [took[took.length >> 1], took[Math.floor(took.length * 0.99)]]
}

const body = Buffer.alloc(BODY_BYTES, 1)
console.log(`Node ${process.version}, ${cpus().length} x ${cpus()[0].model}, bodies of 1 KiB\n`)
console.log('| what | figure |\n|---|---|')
for (const [name, options] of [
  ['one master', {}],
  ['two masters with a slave each, sync double write', { deployment: 'sync-double-write' }],
]) {
  const [opened, closed] = await starts(options)
  row(`start of a cluster: ${name}`, ms(opened))
  row(`its end`, ms(closed))
}
row('a process: start, cluster, first send, end', ms(wholeProcess()))

const cluster = await startCluster({ storage: 'memory' })
const { namesrv } = cluster
const admin = await Admin.start({ namesrv })
await admin.createTopic('Bench', { queues: 8 })
const producer = await Producer.start({ namesrv, sendTimeoutMs: 30_000 })
const topic = 'Bench'
const [p50, p99] = await latency(producer, topic, body)
row('one send after the other, median and 99 %', `${ms(p50)}, ${ms(p99)}`)
let sent = 0
for (const inFlight of [1, 64, 1_000]) {
  const [count, took] = await send(producer, inFlight, async (own) => {
    await own.send({ topic, body })
    return 1
  })
  sent += count
  row(`sent, ${inFlight} at a time`, rate(count, took))
}
const batch = Array.from({ length: 100 }, () => ({ topic, body }))
const [count, took] = await send(producer, 16, async (own) => {
  await own.sendBatch(batch)
  return batch.length
})
sent += count
row('sent in batches of 100, 16 at a time', rate(count, took))

const subscribe = { [topic]: '*' }
for (const [how, consume] of [
  ['handlers, 256 at a time', (consumer, one) => consumer.run(one, { concurrency: 256 })],
  [
    'for await',
    async (consumer, one) => {
      for await (const delivery of consumer) {
        delivery.ack()
        one()
      }
    },
  ],
]) {
  const group = `bench-${how.length}`
  const consumer = await PushConsumer.start({ namesrv, group, startFrom: 'first', subscribe })
  const until = performance.now() + SECONDS * 1_000
  let taken = 0
  const [spent] = await timed(() =>
    consume(consumer, () => {
      if (++taken === sent || performance.now() > until) void consumer.close().catch(() => {})
    }),
  )
  row(`consumed, ${how}`, rate(taken, spent))
}
await producer.close()
await admin.close()
await cluster.close()
