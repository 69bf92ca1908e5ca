// A request, and the reply of whoever consumes it.

import { Producer, PushConsumer, replyTo, startCluster } from 'rmq'

const cluster = await startCluster()
const { namesrv } = cluster
const producer = await Producer.start({ namesrv, group: 'askers' })
const subscribe = { Questions: '*' }
const serves = { namesrv, group: 'servers', startFrom: 'first', subscribe }
const server = await PushConsumer.start(serves)
const serving = server.run(async (request) => {
  await producer.send(replyTo(request, request.text.toUpperCase()))
})

const question = { topic: 'Questions', body: 'shout this' }
const reply = await producer.request(question, { timeoutMs: 20_000 })
console.log(reply.text)

await server.close()
await serving
await producer.close()
await cluster.close()
