// What all that is started and closed has in common.

import { type TimedOptions, timeoutMs } from './calls'
import { closed, opened, setHolds } from './open'

/** How long `close` waits unless told otherwise, ms. */
export const CLOSE_MS = 10_000

/**
 * Something that was started and is to be closed. The process stays alive until it is closed, or
 * `unref` was called.
 */
export abstract class Handle implements AsyncDisposable {
  #ending: Promise<void> | undefined

  /** @internal */
  protected constructor(kind: string, name: string, startedAt: string) {
    opened(this, kind, name, startedAt)
  }

  /** Whether `close` or `kill` was called. */
  get closed(): boolean {
    return this.#ending !== undefined
  }

  /** Lets the process end although this is open. */
  unref(): this {
    setHolds(this, false)
    return this
  }

  /** Takes `unref` back. */
  ref(): this {
    setHolds(this, true)
    return this
  }

  /** @internal Runs `end` once, whoever asks first. */
  protected end(end: () => Promise<void>): Promise<void> {
    this.#ending ??= end().finally(() => closed(this))
    return this.#ending
  }

  /** @internal Called when the process ends and this is open. */
  atExit(): void {}

  /** @internal */
  protected abstract closing(timeoutMs: number, options: TimedOptions): Promise<void>

  /** Closes it in order. Further calls get the same promise. */
  async close(options: TimedOptions = {}): Promise<void> {
    const ms = timeoutMs(options.timeoutMs, CLOSE_MS)
    options.signal?.throwIfAborted()
    await this.end(() => this.closing(ms, options))
  }

  /** Closes it at the end of `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}
