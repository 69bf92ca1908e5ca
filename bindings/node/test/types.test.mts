// Compiled by the test of types with `tsc --strict`; never run.

import {
  type Delivery,
  type SendResult,
  Admin,
  NameServer,
  Producer,
  PullConsumer,
  PushConsumer,
  RmqError,
  openHandles,
  replyTo,
  startCluster,
} from 'rmq'
import { type Captured, useCluster, waitFor } from 'rmq/testing'

export async function all(): Promise<void> {
  const controller = new AbortController()
  const cluster = await startCluster({ deployment: 'async-slaves', clock: 'manual' })
  const { namesrv } = cluster
  await cluster.advance(1)
  // @ts-expect-error there is no such deployment
  await startCluster({ deployment: 'three-masters' })
  const server = await NameServer.start({ listenPort: 0 })
  const port: number = server.port

  const producer = await Producer.start({ namesrv, group: 'g' })
  const message = { topic: 'T', body: new Uint8Array(1), deliverAt: new Date() }
  const sent: SendResult = await producer.send(message, { signal: controller.signal })
  const offset: bigint = sent.queueOffset
  // @ts-expect-error an offset is no number
  const wrong: number = sent.queueOffset
  // @ts-expect-error a message has a body
  await producer.send({ topic: 'T' })
  // @ts-expect-error nobody waits for a one-way message
  await producer.sendOneway(message).then()
  const done = await producer.transaction(message, async () => 'commit')
  const outcome: 'commit' | 'rollback' | 'unknown' = done.outcome
  // @ts-expect-error there is no such outcome
  await producer.transaction(message, () => 'maybe')

  const consumer = await PushConsumer.start({ namesrv, group: 'g', subscribe: { T: { sql: 'a' } } })
  for await (const delivery of consumer) {
    const body: Buffer = delivery.body
    await producer.send(replyTo(delivery, body))
    delivery.later(3)
  }
  await consumer.run((delivery: Delivery) => delivery.ack(), { concurrency: 2 })
  consumer.ref().unref()

  const puller = await PullConsumer.start({ namesrv, group: 'g', autoCommit: false })
  const [queue] = puller.assignment()
  if (queue) await puller.seek(queue, offset + 1n)
  // @ts-expect-error an offset is a bigint
  if (queue) await puller.seek(queue, 1)

  await using admin = await Admin.start({ namesrv })
  const topics: string[] = await admin.topics()
  try {
    await admin.deleteTopic('T')
  } catch (error) {
    if (error instanceof RmqError && error.code === 'RMQ_E_BROKER') {
      const code: number | undefined = error.brokerCode
      console.log(code, error.retriable, error.cause)
    }
  }
  console.log(port, wrong, outcome, topics, openHandles()[0]?.startedAt)
}

export function testing(hook: (body: () => Promise<void>) => void): Promise<Captured> {
  const rmq = useCluster({ beforeAll: hook, afterAll: hook })
  return waitFor(() => rmq.capture('T'))
}
