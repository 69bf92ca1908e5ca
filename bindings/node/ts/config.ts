// Configuration as Apache RocketMQ has it: keys and values.

import { invalid } from './errors'

/** A value of a configuration; everything becomes the text that a file would hold. */
export type ConfigValue = string | number | boolean | bigint | undefined

/**
 * Keys as in Apache's `broker.conf` and `namesrv.conf`, for example
 * `{ brokerName: 'broker-a', flushDiskType: 'SYNC_FLUSH' }`. A key that does not exist is an error,
 * and so is a value that is not allowed.
 */
export type Config = Readonly<Record<string, ConfigValue>>

/** Texts by key; `undefined` counts as absent. */
export function keysOf(...configs: (Config | undefined)[]): Record<string, string> {
  const keys: Record<string, string> = {}
  for (const config of configs) {
    for (const [key, value] of Object.entries(config ?? {})) {
      if (value === undefined) continue
      const known = ['string', 'number', 'boolean', 'bigint'].includes(typeof value)
      if (!known) throw invalid(`${key} is ${value === null ? 'null' : `a ${typeof value}`}`)
      keys[key] = String(value)
    }
  }
  return keys
}
