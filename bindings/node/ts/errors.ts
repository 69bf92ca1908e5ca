// The one error class.

import type { Failure } from '../native'

/** What kind of thing went wrong. The names are those of rmq's C library. */
export type RmqErrorCode =
  | 'RMQ_E_INVALID'
  | 'RMQ_E_CLOSED'
  | 'RMQ_E_FORKED'
  | 'RMQ_E_TIMEOUT'
  | 'RMQ_E_BUSY'
  | 'RMQ_E_LIMIT'
  | 'RMQ_E_NOT_FOUND'
  | 'RMQ_E_IO'
  | 'RMQ_E_DISK_FULL'
  | 'RMQ_E_READ_ONLY'
  | 'RMQ_E_CORRUPT'
  | 'RMQ_E_ADDRESS_IN_USE'
  | 'RMQ_E_PERMISSION'
  | 'RMQ_E_LOCKED'
  | 'RMQ_E_UNREACHABLE'
  | 'RMQ_E_BROKER'
  | 'RMQ_E_INTERNAL'

/** Every error of rmq, but for those of an AbortSignal, which are its `reason`. */
export class RmqError extends Error {
  override readonly name = 'RmqError'
  /** What kind of thing went wrong. */
  readonly code: RmqErrorCode
  /** RocketMQ's response code, if `code` is RMQ_E_BROKER. */
  readonly brokerCode?: number
  /** Whether the same call may succeed later without anything being changed. */
  readonly retriable: boolean
  /** Whether the object that it came from is of no further use. */
  readonly fatal: boolean

  /** Made by rmq; programs only read it. */
  constructor(failure: Failure) {
    const cause = failure.causes.reduceRight<Error | undefined>(
      (under, text) => (under ? new Error(text, { cause: under }) : new Error(text)),
      undefined,
    )
    super(failure.message, cause ? { cause } : undefined)
    this.code = failure.code as RmqErrorCode
    if (failure.brokerCode !== undefined) this.brokerCode = failure.brokerCode
    this.retriable = failure.retriable
    this.fatal = failure.fatal
  }
}

/** An argument that cannot be meant. */
export function invalid(message: string): RmqError {
  return new RmqError({
    code: 'RMQ_E_INVALID',
    message,
    retriable: false,
    fatal: false,
    causes: [],
  })
}
