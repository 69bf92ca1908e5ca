// rmq/testing, the command line, and the examples.

import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { after, afterEach, before, beforeEach, describe, test } from 'node:test'
import { promisify } from 'node:util'

import { openHandles } from 'rmq'
import { TestCluster, uniqueName, useCluster, waitFor } from 'rmq/testing'

const exec = promisify(execFile)
const project = new URL('..', import.meta.url)

describe('a cluster for the file', () => {
  const rmq = useCluster({ before, after, beforeEach, afterEach })
  const seen = []

  for (const round of [1, 2]) {
    test(`messages are captured, round ${round}`, async () => {
      seen.push(rmq.namesrv)
      const topic = await rmq.topic()
      const captured = await rmq.capture(topic)
      const producer = await rmq.producer()
      for (const body of ['a', 'b']) await producer.send({ topic, body })
      const messages = await captured.waitFor(2)
      assert.deepEqual(messages.map((one) => one.text).sort(), ['a', 'b'])
      const met = (all) => all.some((one) => one.text === 'b')
      assert.equal((await captured.waitFor(met)).length, 2)
      captured.clear()
      const none = captured.waitFor(1, { timeoutMs: 20 })
      await assert.rejects(none, /1 messages did not come; 0 came/)
    })
  }

  test('clients of a test are closed after it, the cluster stays', () => {
    assert.equal(new Set(seen).size, 1)
    assert.deepEqual(openHandles().map((one) => one.kind), ['Cluster'])
  })
})

describe('a cluster for each test', () => {
  const seen = new Set()
  const rmq = useCluster({ beforeEach, afterEach }, { per: 'test', clock: 'manual' })
  for (const round of [1, 2]) {
    test(`round ${round}`, async () => {
      const producer = await rmq.producer()
      const topic = await rmq.topic('late')
      const captured = await rmq.capture(topic)
      await producer.send({ topic, body: 'x', delayLevel: 18 })
      await waitFor(async () => {
        await rmq.cluster.advance(3_600_000)
        return captured.messages.length > 0
      })
      seen.add(rmq.cluster)
      assert.equal(seen.size, round)
    })
  }
})

test('hooks of other names do as well, and wrong ones are told', async () => {
  const hooks = []
  const hook = (body) => hooks.push(body)
  const rmq = useCluster({ beforeAll: hook, afterAll: hook })
  assert.throws(() => rmq.namesrv, { code: 'RMQ_E_INVALID' })
  await hooks[0]()
  assert.match(rmq.namesrv, /^127\./)
  await hooks[1]()
  assert.throws(() => useCluster({ before }), { code: 'RMQ_E_INVALID' })
  const own = await TestCluster.start()
  await (await own.consumer({ subscribe: { [uniqueName()]: '*' } })).close()
  await own[Symbol.asyncDispose]()
  assert.deepEqual(openHandles(), [])
})

test('waitFor gives back what was found, or says what was not', async () => {
  let count = 0
  assert.equal(await waitFor(() => (++count > 2 ? 'found' : undefined)), 'found')
  const never = { timeoutMs: 10, what: 'the end' }
  await assert.rejects(waitFor(() => false, never), /the end did not come about within 10 ms/)
  const failing = () => {
    throw new Error('still')
  }
  await assert.rejects(waitFor(failing, { timeoutMs: 5 }), /still/)
})

test('npx rmq: servers until a signal, and administration', async () => {
  const bin = new URL('node_modules/.bin/rmq', project).pathname
  const { version } = await import('rmq')
  assert.equal((await exec(bin, ['--version'])).stdout.trim(), version())
  const server = spawn(bin, ['cluster', '--deployment', 'masters', 'flushIntervalCommitLog=400'])
  let output = ''
  server.stdout.on('data', (text) => (output += text))
  const [, namesrv] = await waitFor(() => /nameservers (\S+)/.exec(output), { timeoutMs: 60_000 })
  assert.match(output, /broker-a master 127/)
  await exec(bin, ['admin', '-n', namesrv, 'updateTopic', 'topic=Made'])
  const { stdout } = await exec(bin, ['admin', '-n', namesrv, 'topicList'])
  assert.ok(JSON.parse(stdout).topicList.includes('Made'))
  const unknown = exec(bin, ['admin', '-n', namesrv, 'nonsense'])
  await assert.rejects(unknown, { code: 1, stderr: /RMQ_E_INVALID.*nonsense/ })
  const ended = new Promise((resolve) => server.once('exit', (code) => resolve(code)))
  server.kill('SIGINT')
  assert.equal(await ended, 0)
  await assert.rejects(exec(bin, ['cluster', 'nonsense']), { code: 2, stderr: /KEY=VALUE/ })
  await assert.rejects(exec(bin, ['what']), { code: 2, stderr: /usage/ })
})

const examples = new URL('examples/', project)
for (const name of existsSync(examples) ? readdirSync(examples) : []) {
  if (!name.endsWith('.mjs')) continue
  test(`the example ${name} does what it says`, async () => {
    const { stdout } = await exec(process.execPath, [name], { cwd: examples, timeout: 120_000 })
    assert.ok(stdout.length > 0)
  })
}
