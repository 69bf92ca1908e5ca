// Nameservers, brokers and clusters in this process.

import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { test } from 'node:test'

import { Broker, NameServer, RmqError, openHandles, startCluster } from 'rmq'

const CYCLES = Number(process.env.RMQ_NODE_CYCLES ?? 1000)

function accepts(address) {
  const [host, port] = address.split(':')
  return new Promise((resolve) => {
    const socket = connect(Number(port), host)
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })
}

test('a nameserver and a broker start on free ports and end', async () => {
  const names = await NameServer.start()
  assert.ok(names.port > 0)
  const broker = await Broker.start({ namesrvAddr: names.address, brokerName: 'b' })
  assert.equal(broker.name, 'b')
  assert.equal(broker.address, `127.0.0.1:${broker.port}`)
  assert.ok((await accepts(broker.address)) && (await accepts(names.address)))
  const kinds = openHandles().map((handle) => handle.kind)
  assert.deepEqual(kinds, ['NameServer', 'Broker'])
  assert.match(openHandles()[0].startedAt, /servers\.test\.mjs/)
  const { address } = broker
  await broker.close()
  await broker.close()
  assert.ok(broker.closed && !(await accepts(address)))
  await names[Symbol.asyncDispose]()
  assert.deepEqual(openHandles(), [])
})

test('errors say what is wrong, for programs and for people', async () => {
  const wrong = NameServer.start({ listenPrt: 0 })
  await assert.rejects(wrong, (error) => {
    assert.ok(error instanceof RmqError && error instanceof Error)
    assert.equal(error.code, 'RMQ_E_INVALID')
    assert.equal(error.retriable, false)
    assert.equal(error.brokerCode, undefined)
    assert.match(error.message, /listenPrt.*listenPort/)
    assert.match(error.stack, /servers\.test\.mjs/)
    return true
  })
  await assert.rejects(Broker.start({ brokerName: null }), { code: 'RMQ_E_INVALID' })
  const taken = await NameServer.start()
  const second = NameServer.start({ listenPort: taken.port })
  await assert.rejects(second, (error) => {
    assert.equal(error.code, 'RMQ_E_ADDRESS_IN_USE')
    assert.ok(error.cause instanceof Error, 'what the system said')
    return true
  })
  await taken.kill()
})

test('a start that is given up is undone', async () => {
  const given = new AbortController()
  const starting = Broker.start({}, { signal: given.signal })
  given.abort(new Error('no more'))
  await assert.rejects(starting, { message: 'no more' })
  await assert.rejects(NameServer.start({}, { signal: given.signal }), { message: 'no more' })
  assert.deepEqual(openHandles(), [])
})

const deployments = [
  [{}, ['broker-a']],
  [{ deployment: 'masters', masters: 2 }, ['broker-a', 'broker-b']],
  [{ deployment: 'async-slaves', masters: 1 }, ['broker-a', 'broker-a-s']],
  [{ deployment: 'sync-double-write', masters: 1 }, ['broker-a', 'broker-a-s']],
]

for (const [options, brokers] of deployments) {
  test(`a cluster starts: ${options.deployment ?? 'single-master'}`, async () => {
    const cluster = await startCluster({ ...options, storage: 'memory' })
    const members = cluster.members()
    assert.deepEqual(
      members.map((member) => member.name),
      ['namesrv-0', ...brokers],
    )
    assert.ok(members.every((member) => member.running))
    assert.equal(cluster.namesrv, members[0].address)
    await cluster.close()
  })
}

test('members are killed, started, paused, cut off and made new', async () => {
  const cluster = await startCluster({ deployment: 'async-slaves', masters: 1, storage: 'memory' })
  const member = (name) => cluster.members().find((one) => one.name === name)
  await cluster.kill('broker-a')
  assert.equal(member('broker-a').running, false)
  await cluster.start('broker-a')
  await cluster.restart('broker-a-s')
  await cluster.ready()
  await cluster.pause('broker-a-s')
  assert.equal(member('broker-a-s').paused, true)
  await cluster.resume('broker-a-s')
  await cluster.partition(['broker-a'], ['broker-a-s', 'namesrv-0', 'clients'])
  await cluster.heal()
  await cluster.stop('broker-a-s')
  await cluster.reset()
  assert.ok(cluster.members().every((one) => one.running && !one.paused))
  await assert.rejects(cluster.kill('broker-z'), { code: 'RMQ_E_NOT_FOUND' })
  await assert.rejects(cluster.advance(1), { code: 'RMQ_E_INVALID' })
  await cluster.close()
  await assert.rejects(cluster.start('broker-a'), { code: 'RMQ_E_CLOSED' })
})

test(`${CYCLES} clusters one after the other`, async () => {
  for (let cycle = 0; cycle < CYCLES; cycle++) {
    const cluster = await startCluster({ storage: 'memory' })
    await cluster.close()
  }
  assert.deepEqual(openHandles(), [])
})
