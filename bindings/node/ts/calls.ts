// Calls that end later: the promises behind the numbers that the addon is given.

import type { Failure } from '../native'
import { RmqError, invalid } from './errors'
import { native } from './native'
import { hold, release } from './open'

/** How long a call may take and who may give it up. */
export interface CallOptions {
  /**
   * Gives the call up: its promise is rejected with the signal's reason at once. What was begun
   * goes on behind the scenes and is undone where that can be done; a message may be sent all the
   * same.
   */
  signal?: AbortSignal | undefined
}

/** A `CallOptions` with a limit. */
export interface TimedOptions extends CallOptions {
  /** How long it may take, ms. */
  timeoutMs?: number | undefined
}

// Taken before a test framework can put its own in their place.
const { performance, setImmediate, setTimeout } = globalThis
const now = performance.now.bind(performance)

/** A clock that nobody fakes, ms. */
export function monotonicMs(): number {
  return now()
}

/** Sleeps by a timer that nobody fakes. */
export function realSleep(ms: number): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, ms))
}

/** Gives the event loop its turn. */
export function turn(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve))
}

interface Pending {
  /** Whether the event comes once. */
  once: boolean
  done(value: any): void
  failed(failure: Failure): void
}

const pending = new Map<number, Pending>()
let last = 0

function nextId(): number {
  do last = (last + 1) >>> 0
  while (pending.has(last))
  return last
}

function wake(): void {
  const events = hub.drain()
  for (let at = 0; at < events.length; at += 3) {
    const id = events[at] as number
    const one = pending.get(id)
    if (!one) continue
    if (one.once) pending.delete(id)
    const failure = events[at + 1] as Failure | undefined
    try {
      if (failure) one.failed(failure)
      else one.done(events[at + 2])
    } catch (error) {
      // The others are not to suffer; the process hears of it as of any other uncaught exception.
      queueMicrotask(() => {
        throw error
      })
    }
  }
}

/** The way to this environment. */
export const hub = new native.Hub(wake)

/** Has events with the number that is returned come to `done`, until `unlisten`. */
export function listen<T>(done: (value: T) => void): number {
  const id = nextId()
  pending.set(id, { once: false, done, failed: (failure) => done(failure as never) })
  return id
}

/** Ends `listen`. */
export function unlisten(id: number): void {
  pending.delete(id)
}

class Failed {
  constructor(readonly failure: Failure) {}
}

function begun<T>(
  begin: (id: number) => void,
  signal: AbortSignal | undefined,
  late: ((value: T) => void) | undefined,
  holds: boolean,
): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const id = nextId()
    if (holds) hold()
    let aborted = false
    const abort = (): void => {
      aborted = true
      reject(signal?.reason)
    }
    const over = (): void => {
      if (holds) release()
      signal?.removeEventListener('abort', abort)
    }
    pending.set(id, {
      once: true,
      done(value: T) {
        over()
        if (!aborted) resolve(value)
        else late?.(value)
      },
      failed(failure) {
        over()
        if (!aborted) reject(new Failed(failure))
      },
    })
    try {
      begin(id)
    } catch (error) {
      pending.delete(id)
      over()
      throw error
    }
    signal?.addEventListener('abort', abort)
  })
}

/**
 * Begins a call and waits for its end. `late` undoes one that came to an end after it was given up;
 * `holds` says whether the process stays alive for it.
 */
export async function call<T = void>(
  begin: (id: number) => void,
  options: CallOptions = {},
  late?: (value: T) => void,
  holds = true,
): Promise<T> {
  options.signal?.throwIfAborted()
  try {
    return await begun(begin, options.signal, late, holds)
  } catch (error) {
    // Made here, so that the stack leads to the caller.
    throw error instanceof Failed ? new RmqError(error.failure) : error
  }
}

/** A time limit as the addon takes it. */
export function timeoutMs(given: number | undefined, otherwise: number): number {
  const ms = given ?? otherwise
  if (typeof ms !== 'number' || !(ms >= 0)) throw invalid(`timeoutMs is ${String(given)}`)
  return Math.min(ms, Number.MAX_SAFE_INTEGER)
}
