// The process and the package: its end, its threads, what is never swallowed.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'

const PATIENCE_MS = 60_000

/** Runs a program that uses the package; answers how it ended and what it printed. */
function run(source, { signal } = {}) {
  const program = `import * as rmq from 'rmq'\n${source}`
  const args = ['--input-type=module', '--eval', program]
  const cwd = new URL('..', import.meta.url)
  // What a signal leaves behind goes with the project.
  const env = { ...process.env, TMPDIR: mkdtempSync(fileURLToPath(new URL('tmp-', cwd))) }
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { cwd, env })
    const timer = setTimeout(() => child.kill('SIGKILL'), PATIENCE_MS)
    let output = ''
    const read = (text) => {
      output += text
      if (signal && output.includes('ready')) child.kill(signal)
    }
    child.stdout.on('data', read)
    child.stderr.on('data', read)
    child.once('close', (code, ended) => {
      clearTimeout(timer)
      const left = readdirSync(env.TMPDIR)
      rmSync(env.TMPDIR, { recursive: true })
      if (!signal && left.length > 0) reject(new Error(`${left} was left behind`))
      else resolve({ code, signal: ended, output })
    })
  })
}

const CLIENTS = `
  const cluster = await rmq.startCluster()
  const { namesrv } = cluster
  const producer = await rmq.Producer.start({ namesrv, group: 'p' })
  await producer.send({ topic: 'T', body: 'x' })
  const consumer = await rmq.PushConsumer.start({
    namesrv, group: 'c', startFrom: 'first', subscribe: { T: '*' } })
`

test('a process with everything closed ends by itself', async () => {
  const ended = await run(`${CLIENTS}
    for await (const delivery of consumer) { delivery.ack(); break }
    for (const one of [consumer, producer, cluster]) await one.close()
    console.log(rmq.openHandles().length, 'open')`)
  assert.deepEqual(ended, { code: 0, signal: null, output: '0 open\n' })
})

test('a process that imports and does nothing ends', async () => {
  assert.equal((await run('rmq.version()')).code, 0)
})

test('what is open holds the process, and says so', async () => {
  const ended = await run(`${CLIENTS}
    setTimeout(async () => {
      console.log(rmq.openHandles().map((one) => one.kind).join())
      console.log(rmq.openHandles().every((one) => one.startedAt.includes('eval1')))
      for (const one of [consumer, producer, cluster]) await one.close()
    }, 200).unref()`)
  assert.equal(ended.output, 'Cluster,Producer,PushConsumer\ntrue\n')
  assert.equal(ended.code, 0)
})

test('what is unref-ed does not hold the process, a consumer that waits included', async () => {
  const ended = await run(`${CLIENTS}
    void consumer.run(() => {})
    for (const one of [consumer, producer, cluster]) one.unref()
    console.log(rmq.openHandles().some((one) => one.holds))`)
  assert.deepEqual(ended, { code: 0, signal: null, output: 'false\n' })
})

test('process.exit and signals end it while everything works', async () => {
  const busy = `${CLIENTS}
    void consumer.run(() => {})
    const send = () => producer.send({ topic: 'T', body: 'x' }).then(send, () => {})
    for (let i = 0; i < 50; i++) void send()`
  const exited = await run(`${busy}\n setTimeout(() => process.exit(7), 100)`)
  assert.deepEqual(exited, { code: 7, signal: null, output: '' })
  for (const one of ['cluster', 'rmq.Broker.start()']) {
    const closing = await run(`${CLIENTS}
      const server = await ${one}
      void server.close()
      setTimeout(() => process.exit(8), 1)`)
    assert.equal(closing.code, 8)
  }
  const ended = await run(`${busy}\n console.log('ready')`, { signal: 'SIGTERM' })
  assert.equal(ended.signal, 'SIGTERM')
})

test('a rejection that nobody handles ends the process, wherever it comes from', async () => {
  const sources = [
    "void rmq.NameServer.start({ wrong: 1 })",
    "void producer.send({ topic: 'no good', body: 'x' })",
    "void consumer.run(() => {}, { concurrency: -1 })",
    `void consumer.run(async () => { throw new Error('x') }, {
       onError: (error) => { throw error } })`,
    `void (async () => { for await (const one of consumer) throw new Error(one.text) })()`,
    "void consumer.run(() => { Promise.reject(new Error('beside')) })",
  ]
  const ended = await Promise.all(sources.map((source) => run(`${CLIENTS}\n${source}`)))
  ended.forEach(({ code, output }, i) => assert.equal(code, 1, `${sources[i]}: ${output}`))
  const sink = await run(`
    ${CLIENTS}
    rmq.onLog('trace', () => { throw new Error('in the sink') })
    await producer.send({ topic: 'T', body: 'x' })`)
  assert.equal(sink.code, 1)
  assert.match(sink.output, /in the sink/)
})

test('a checker that fails is an unhandled rejection', async () => {
  const ended = await run(`
    const cluster = await rmq.startCluster({
      config: { transactionCheckInterval: 100, transactionTimeOut: 10 } })
    const producer = await rmq.Producer.start({
      namesrv: cluster.namesrv, group: 'tx', checker: () => { throw new Error('no checker') } })
    await producer.transaction({ topic: 'T', body: 'x' }, () => 'unknown')`)
  assert.equal(ended.code, 1)
  assert.match(ended.output, /no checker/)
})

test('the log goes to a sink, until it is disposed of', async () => {
  const ended = await run(`
    const levels = new Set()
    const logging = rmq.onLog('debug', (record) => {
      levels.add(record.level)
      if (!record.target.startsWith('rmq') || !record.message) process.exitCode = 3
    })
    ${CLIENTS}
    for (const one of [consumer, producer, cluster]) await one.close()
    logging[Symbol.dispose]()
    console.log(levels.size > 0 && !levels.has('trace'))
    try { rmq.onLog('loud', () => {}) } catch (error) { console.log(error.code) }`)
  assert.deepEqual(ended, { code: 0, signal: null, output: 'true\nRMQ_E_INVALID\n' })
})

test('workers have clients and servers of their own, which end with them', async () => {
  const { startCluster, openHandles } = await import('rmq')
  const cluster = await startCluster({ storage: 'memory' })
  const work = (number, leave) =>
    new Promise((resolve, reject) => {
      const workerData = { namesrv: cluster.namesrv, number, leave }
      const worker = new Worker(new URL('./worker.cjs', import.meta.url), { workerData })
      const messages = []
      worker.on('message', (message) => {
        messages.push(message)
        // In the midst of everything.
        if (leave) void worker.terminate()
      })
      worker.once('error', reject)
      worker.once('exit', () => resolve(messages))
    })
  const closed = await Promise.all([1, 2, 3].map((number) => work(number, false)))
  assert.deepEqual(closed, [[20, 0], [20, 0], [20, 0]])
  const left = await Promise.all([4, 5, 6].map((number) => work(number, true)))
  assert.deepEqual(left, [[20], [20], [20]])
  assert.deepEqual(openHandles().map((handle) => handle.kind), ['Cluster'])
  await cluster.close()
})
