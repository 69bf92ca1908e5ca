// What the test of workers has each of them do.

'use strict'

const { parentPort, workerData } = require('node:worker_threads')
const rmq = require('rmq')
void (async () => {
  const { namesrv, number, leave } = workerData
  const topic = 'W' + number
  const producer = await rmq.Producer.start({ namesrv, group: 'p' + number })
  const consumer = await rmq.PushConsumer.start({
    namesrv, group: 'c' + number, startFrom: 'first', subscribe: { [topic]: '*' } })
  const own = await rmq.startCluster({ storage: 'memory' })
  for (let i = 0; i < 20; i++) await producer.send({ topic, body: String(i) })
  let count = 0
  const ran = consumer.run(() => void (++count === 20 && parentPort.postMessage(count)))
  if (leave) return
  while (count < 20) await new Promise((resolve) => setTimeout(resolve, 5))
  for (const one of [consumer, producer, own]) await one.close()
  await ran
  parentPort.postMessage(rmq.openHandles().length)
})()
