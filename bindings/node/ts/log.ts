// What the library has to say.

import type { NativeLogRecord } from '../native'
import { hub, listen, unlisten } from './calls'
import { invalid } from './errors'
import { native } from './native'

const LEVELS = ['error', 'warn', 'info', 'debug', 'trace'] as const

/** How urgent a line is. */
export type LogLevel = (typeof LEVELS)[number]

/** One line of the log. */
export interface LogRecord {
  readonly level: LogLevel
  /** The part of the library. */
  readonly target: string
  /** The line. */
  readonly message: string
}

/**
 * Gives lines of this urgency and more urgent ones to `sink`, until the result is disposed of.
 * Without it nothing is told. It does not keep the process alive, and lines are dropped rather than
 * collected without limit when `sink` does not keep up.
 */
export function onLog(level: LogLevel, sink: (record: LogRecord) => void): Disposable {
  const number = LEVELS.indexOf(level) + 1
  if (number === 0) throw invalid(`there is no log level ${String(level)}`)
  const id = listen<NativeLogRecord>((line) => {
    native.logLineRead(hub, id)
    sink({
      level: LEVELS[line.level - 1] ?? 'trace',
      target: line.target,
      message: line.message,
    })
  })
  if (!native.setLogLevel(hub, id, number)) {
    unlisten(id)
    throw invalid('another part of this process takes the log')
  }
  return {
    [Symbol.dispose]() {
      native.setLogLevel(hub, id, 0)
      unlisten(id)
    },
  }
}
