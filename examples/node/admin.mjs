// Topics, groups, offsets, and any command of mqadmin.

import { Admin, Producer, startCluster } from 'rmq'

const cluster = await startCluster({ deployment: 'masters', masters: 2 })
const { namesrv } = cluster
const admin = await Admin.start({ namesrv })

await admin.createTopic('Made', { queues: 2 })
console.log('topics:', (await admin.topics()).includes('Made'))

const producer = await Producer.start({ namesrv, group: 'senders' })
const { offsetMsgId } = await producer.send({ topic: 'Made', body: 'found again' })
console.log('message:', (await admin.messageAt(offsetMsgId)).text)

for (const { queue, first, end } of await admin.topicOffsets('Made')) {
  console.log(`${queue.brokerName} ${queue.queueId}: ${first} to ${end}`)
}
const { clusterAddrTable } = await admin.invoke('clusterList')
console.log('clusters:', clusterAddrTable)

await producer.close()
await admin.close()
await cluster.close()
