/**
 * RocketMQ for Node.js: clients, and nameservers and brokers in your own process.
 *
 * @packageDocumentation
 */

import { native } from './native'

export {
  Admin,
  type GroupOffsets,
  type GroupOptions,
  type Json,
  type QueueOffsets,
  type TopicOptions,
} from './admin'
export type { CallOptions, TimedOptions } from './calls'
export {
  Cluster,
  type ClusterOptions,
  type Deployment,
  type MemberStatus,
  startCluster,
} from './cluster'
export type { Config, ConfigValue } from './config'
export type { ClientConfig, ConsumerConfig, Filter } from './config-clients'
export {
  Delivery,
  type Handler,
  PushConsumer,
  type PushConsumerConfig,
  type RunOptions,
} from './consumer'
export { RmqError, type RmqErrorCode } from './errors'
export { Handle } from './handle'
export { type LogLevel, type LogRecord, onLog } from './log'
export {
  type Message,
  type MessageQueue,
  ReceivedMessage,
  replyTo,
  type SendResult,
  type SendStatus,
} from './message'
export { type OpenHandle, openHandles } from './open'
export {
  Producer,
  type ProducerConfig,
  type SendOptions,
  type TransactionOutcome,
} from './producer'
export { type Place, type PollOptions, PullConsumer, type PullConsumerConfig } from './pull'
export { Broker, type BrokerOptions, NameServer } from './servers'
export type { ConsumeTrace, SendTrace, TracedMessage } from './tracing'

/** The version of the native library. */
export function version(): string {
  return native.version()
}
