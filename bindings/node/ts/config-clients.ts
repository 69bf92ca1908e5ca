// Options of clients as keys of Apache's.

import type { NativeSubscription } from '../native'
import { type Config, keysOf } from './config'
import { invalid } from './errors'

/** What every client is told. */
export interface ClientConfig {
  /** The nameservers: `host:port`, several separated by `;`. */
  namesrv: string
  /**
   * Where the names of topics and groups belong: clients of another namespace, or of none, have
   * others by the same names.
   */
  namespace?: string | undefined
  /** Keys named as the fields of Apache's Java clients, for example `{ clientIP: '10.0.0.1' }`. */
  config?: Config | undefined
}

/** The keys that every client has. */
export function clientKeys(config: ClientConfig): Record<string, string> {
  return keysOf(config.config, { namesrvAddr: config.namesrv, namespace: config.namespace })
}

/** What is taken of a topic: tags (`'A || B'`, `'*'` for all) or a condition in SQL92. */
export type Filter = string | { readonly tags: string } | { readonly sql: string }

/** What every consumer is told. */
export interface ConsumerConfig extends ClientConfig {
  /** The consumer group. */
  group: string
  /**
   * Where a group that has no offset begins: with what is sent from now on ('last', the default),
   * with the first message there is, or with what was stored from a time on.
   */
  startFrom?: 'last' | 'first' | Date | undefined
  /** Whether each member gets every message rather than a share. */
  broadcasting?: boolean | undefined
  /** Messages of a queue that are held at a time, 1,000 unless said otherwise. */
  maxMessagesPerQueue?: number | undefined
}

/** A time as Apache's key takes it: yyyyMMddHHmmss in UTC. */
function timestamp(time: Date): string {
  if (Number.isNaN(time.getTime())) throw invalid('startFrom is no time')
  return time.toISOString().replace(/\D/g, '').slice(0, 14)
}

export function consumerKeys(
  config: ConsumerConfig,
  more: Record<string, string | number | boolean | undefined>,
): Record<string, string> {
  const { startFrom } = config
  const places = { first: 'FIRST_OFFSET', last: 'LAST_OFFSET' }
  const place = startFrom instanceof Date ? 'TIMESTAMP' : startFrom && places[startFrom]
  if (startFrom !== undefined && !place) throw invalid(`startFrom is ${String(startFrom)}`)
  return keysOf(clientKeys(config), {
    consumerGroup: config.group,
    consumeFromWhere: place && `CONSUME_FROM_${place}`,
    consumeTimestamp: startFrom instanceof Date ? timestamp(startFrom) : undefined,
    messageModel: config.broadcasting ? 'BROADCASTING' : undefined,
    pullThresholdForQueue: config.maxMessagesPerQueue,
    ...more,
  })
}

export function subscription(topic: string, filter: Filter = '*'): NativeSubscription {
  if (typeof filter === 'string') return { topic, expression: filter, sql: false }
  if ('sql' in filter) return { topic, expression: filter.sql, sql: true }
  return { topic, expression: filter.tags, sql: false }
}
