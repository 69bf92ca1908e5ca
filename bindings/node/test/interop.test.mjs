// With Apache's Java clients on the other end, through rmq's servers and through Apache's.

import assert from 'node:assert/strict'
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, before, describe, test } from 'node:test'

import { Admin, Producer, PushConsumer, startCluster } from 'rmq'
import { waitFor } from 'rmq/testing'

const VERSION = '5.5.0'
const COUNT = 200
const LIMIT_MS = 120_000
const workspace = resolve(process.env.RMQ_NODE_SOURCE, '../..')
const folder = join(process.env.CARGO_TARGET_DIR ?? join(workspace, 'target'), 'interop')

const missing = ['java', 'mvn'].filter((tool) => spawnSync(tool, ['-version']).error)
if (missing.length > 0) {
  const line = `interop: ${missing.join(' and ')} not found: Java's clients were not run from Node`
  if (process.env.CI) throw new Error(line)
  console.log(line)
}

/** A process whose lines are read. */
class Program {
  constructor(args, home) {
    const own = ['-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', `-Duser.home=${home}`]
    const env = { ...process.env, ROCKETMQ_HOME: home }
    this.output = ''
    this.child = spawn('java', [...own, ...args], { env, cwd: home })
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream.on('data', (text) => (this.output += text))
    }
    this.ended = new Promise((done) => this.child.once('exit', done))
  }

  say(line) {
    this.child.stdin.write(`${line}\n`)
  }

  async prints(wanted) {
    const found = () => {
      const met = typeof wanted === 'string' ? this.output.includes(wanted) : wanted(this.output)
      if (!met && this.child.exitCode !== null) throw new Error('it has ended')
      return met
    }
    try {
      await waitFor(found, { timeoutMs: LIMIT_MS })
    } catch (error) {
      throw new Error(`no "${wanted}" in\n${this.output.slice(-4_000)}`, { cause: error })
    }
  }

  async end() {
    this.child.kill('SIGKILL')
    await this.ended
  }
}

function client(name, args, home) {
  const path = `${folder}/classes/${VERSION}:${folder}/jars/client-${VERSION}/*`
  return new Program(['-Xmx512m', '-cp', path, `rmq.interop.${name}`, ...args], home)
}

function server(name, config, home) {
  mkdirSync(home, { recursive: true })
  const file = join(home, 'server.conf')
  const lines = Object.entries(config).map(([key, value]) => `${key}=${value}\n`)
  writeFileSync(file, lines.join(''))
  const opened = ['java.base/java.nio', 'java.base/sun.nio.ch', 'java.base/jdk.internal.ref']
  const options = opened.flatMap((one) => [
    `--add-opens=${one}=ALL-UNNAMED`,
    `--add-exports=${one}=ALL-UNNAMED`,
  ])
  const path = `${folder}/jars/server-${VERSION}/*`
  const heap = ['-Xms128m', '-Xmx1g', `-Drocketmq.home.dir=${home}`]
  const main = `org.apache.rocketmq.${name}`
  return new Program([...heap, ...options, '-cp', path, main, '-c', file], home)
}

/** A port that is free, and so are those around it that a broker takes. */
async function freePort() {
  const free = (port) =>
    new Promise((done) => {
      const probe = createServer().once('error', () => done(false))
      probe.listen(port, () => probe.close(() => done(true)))
    })
  for (;;) {
    // Below the range that outgoing connections take theirs from.
    const port = 11_000 + Math.floor(Math.random() * 20_000)
    if ((await free(port)) && (await free(port - 2)) && (await free(port + 1))) return port
  }
}

async function apache(home) {
  const names = await freePort()
  const namesrv = `127.0.0.1:${names}`
  const first = server('namesrv.NamesrvStartup', { listenPort: names }, join(home, 'namesrv'))
  await first.prints('boot success')
  const store = join(home, 'store')
  const second = server(
    'broker.BrokerStartup',
    {
      brokerClusterName: 'interop',
      brokerName: 'broker-a',
      brokerIP1: '127.0.0.1',
      listenPort: await freePort(),
      namesrvAddr: namesrv,
      storePathRootDir: store,
      storePathCommitLog: join(store, 'commitlog'),
      mappedFileSizeCommitLog: 64 << 20,
      // A small machine keeps requests waiting.
      waitTimeMillsInSendQueue: 10_000,
      consumerManageThreadPoolNums: 1,
      adminBrokerThreadPoolNums: 1,
    },
    join(home, 'broker'),
  )
  await second.prints('boot success')
  const close = async () => {
    await second.end()
    await first.end()
  }
  return { namesrv, close }
}

async function rmq() {
  const cluster = await startCluster({ storage: 'memory' })
  return { namesrv: cluster.namesrv, close: () => cluster.close() }
}

const fromNode = (i) => ({
  topic: 'Interop',
  // Every third is compressed on the way.
  body: `node${String(i).padStart(4, '0')}${i % 3 ? '' : ' '.repeat(6_000)}`,
  tags: 'n',
  keys: [`key${i}`],
  shardingKey: i % 2 ? String(i % 5) : undefined,
})

for (const [maker, start] of [['rmq', rmq], [`Apache ${VERSION}`, apache]]) {
  describe(`servers of ${maker}`, { skip: missing.length > 0 }, () => {
    const home = mkdtempSync(join(tmpdir(), 'rmq-node-interop-'))
    const programs = []
    let servers

    before(async () => {
      const parts = [`client-${VERSION}`, `server-${VERSION}`]
      const script = join(workspace, 'rmq-core/tests/interop/fetch.sh')
      execFileSync('bash', [script, folder, ...parts], { stdio: ['ignore', 'ignore', 'inherit'] })
      servers = await start(home)
      const admin = await Admin.start({ namesrv: servers.namesrv })
      const made = () => admin.createTopic('Interop', { queues: 4 }).then(() => true)
      // Apache's nameserver may not know of the broker yet, which is no error to it.
      await waitFor(async () => {
        await made()
        return (await admin.topics()).includes('Interop')
      }, { timeoutMs: LIMIT_MS })
      await admin.close()
    })

    after(async () => {
      for (const program of programs) await program.end()
      await servers?.close()
      rmSync(home, { recursive: true, force: true })
    })

    test('what Node sends, Java consumes, and the reverse', async () => {
      const { namesrv } = servers
      const args = ['-n', namesrv, '--topic', 'Interop', '--group', 'java']
      const member = client('Member', args, home)
      programs.push(member)
      const subscribe = { Interop: '*' }
      const told = { namesrv, group: 'node', startFrom: 'first', subscribe }
      const consumer = await PushConsumer.start(told)
      const seen = new Set()
      const ran = consumer.run((delivery) => void seen.add(delivery.text.trim()), {
        concurrency: 8,
      })
      await member.prints('ready')
      const producer = await Producer.start({ namesrv, group: 'senders', sendTimeoutMs: 20_000 })
      const sends = Array.from({ length: COUNT }, (_, i) => producer.send(fromNode(i)))
      const sent = await Promise.all(sends)
      assert.ok(sent.every((one) => one.status === 'SEND_OK'))
      member.say(`send java ${COUNT}`)
      await member.prints('sent java')
      const wanted = ['node', 'java'].flatMap((prefix) =>
        Array.from({ length: COUNT }, (_, i) => `${prefix}${String(i).padStart(4, '0')}`),
      )
      await waitFor(() => wanted.every((body) => seen.has(body)), { timeoutMs: LIMIT_MS })
      await member.prints((output) => wanted.every((body) => output.includes(`got ${body} `)))
      member.say('leave')
      await member.prints('left')
      await consumer.close()
      await ran
      await producer.close()
    })

    test('Java answers requests of Node', async () => {
      const { namesrv } = servers
      const args = ['-n', namesrv, '--topic', 'Interop', '--group', 'java_repliers']
      const receiver = client('Receiver', args, home)
      programs.push(receiver)
      await receiver.prints('ready')
      const producer = await Producer.start({ namesrv, group: 'askers', sendTimeoutMs: 20_000 })
      const reply = await producer.request(
        { topic: 'Interop', body: 'question' },
        { timeoutMs: LIMIT_MS },
      )
      assert.equal(reply.text, 'echo question')
      await producer.close()
    })
  })
}
