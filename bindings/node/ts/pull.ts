// Consumers that ask for messages.

import type { NativePullConsumer, NativeReceived } from '../native'
import { type CallOptions, type TimedOptions, call, hub, monotonicMs, timeoutMs } from './calls'
import { type ConsumerConfig, type Filter, consumerKeys, subscription } from './config-clients'
import { invalid } from './errors'
import { Handle } from './handle'
import { type MessageQueue, ReceivedMessage } from './message'
import { native } from './native'
import { callerStack } from './open'

/** What a pull consumer is told. */
export interface PullConsumerConfig extends ConsumerConfig {
  /** Whether offsets are committed without `commit`, which they are unless said otherwise. */
  autoCommit?: boolean | undefined
}

/** How messages are polled for. */
export interface PollOptions extends TimedOptions {
  /** Most messages, 32 unless said otherwise. */
  max?: number | undefined
}

/** Where to go on in a queue. */
export type Place = bigint | 'begin' | 'end'

const POLL_MS = 5_000
const COMMIT_MS = 5_000
/** A wait is divided, so that many consumers can wait on a few threads. */
const SLICE_MS = 200

/**
 * Hands out messages when it is asked to; they are fetched ahead. Its queues are either divided
 * among its group (`subscribe`) or given by the program (`assign`).
 */
export class PullConsumer extends Handle {
  readonly #native: NativePullConsumer
  /** Came for somebody who had given up waiting; they count as handed out. */
  readonly #returned: NativeReceived[] = []

  private constructor(inner: NativePullConsumer, config: PullConsumerConfig, startedAt: string) {
    super('PullConsumer', `${config.group} at ${config.namesrv}`, startedAt)
    this.#native = inner
  }

  /** Starts one that has no queue yet. */
  static async start(config: PullConsumerConfig, options: CallOptions = {}): Promise<PullConsumer> {
    const startedAt = callerStack(PullConsumer.start)
    const keys = consumerKeys(config, { autoCommit: config.autoCommit })
    const inner = await call<NativePullConsumer>(
      (id) => native.startPullConsumer(hub, id, keys),
      options,
      (late) => void call((id) => late.close(hub, id, 0)).catch(() => {}),
    )
    return new PullConsumer(inner, config, startedAt)
  }

  /** The id that brokers know this consumer by. */
  get clientId(): string {
    return this.#native.clientId
  }

  /** Takes this member's share of a topic, besides what it subscribed to before. */
  async subscribe(topic: string, filter: Filter = '*', options: CallOptions = {}): Promise<void> {
    const made = subscription(topic, filter)
    return call((id) => this.#native.subscribe(hub, id, made), options)
  }

  /** Takes these queues and no others, from where the group stands. */
  async assign(queues: readonly MessageQueue[], options: CallOptions = {}): Promise<void> {
    return call((id) => this.#native.assign(hub, id, [...queues]), options)
  }

  /** The queues that it has now. */
  assignment(): MessageQueue[] {
    return this.#native.assignment()
  }

  /** The queues of a topic that can be read. */
  async queues(topic: string, options: CallOptions = {}): Promise<MessageQueue[]> {
    return call((id) => this.#native.queues(hub, id, topic), options)
  }

  /**
   * The next messages of any queue; waits for the first at most for `timeoutMs` (5,000 unless said
   * otherwise) and answers none when none came. They count as consumed from now on.
   */
  async poll(options: PollOptions = {}): Promise<ReceivedMessage[]> {
    const { max = 32, signal } = options
    if (!(Number.isInteger(max) && max > 0)) throw invalid(`max is ${max}`)
    const until = monotonicMs() + timeoutMs(options.timeoutMs, POLL_MS)
    for (;;) {
      signal?.throwIfAborted()
      let found = this.#returned.splice(0, max)
      const left = Math.max(0, until - monotonicMs())
      if (found.length === 0) {
        found = await call<NativeReceived[]>(
          (id) => this.#native.poll(hub, id, max, Math.min(left, SLICE_MS)),
          options,
          (late) => void this.#returned.push(...late),
        )
      }
      if (found.length > 0 || left === 0) return found.map((one) => new ReceivedMessage(one))
    }
  }

  /** Goes on at an offset of a queue, at its beginning, or with what comes from now on. */
  async seek(queue: MessageQueue, place: Place, options: CallOptions = {}): Promise<void> {
    const named = typeof place === 'string'
    if (!named && typeof place !== 'bigint') throw invalid('an offset is a bigint')
    const offset = named ? 0n : place
    if (offset < 0n) throw invalid(`the offset ${offset} is below zero`)
    const word = named ? place : 'offset'
    return call((id) => this.#native.seek(hub, id, queue, offset, word), options)
  }

  /** Hands out nothing of these queues until they are resumed. */
  async pause(queues: readonly MessageQueue[]): Promise<void> {
    return call((id) => this.#native.setPaused(hub, id, [...queues], true))
  }

  /** Goes on after `pause`. */
  async resume(queues: readonly MessageQueue[]): Promise<void> {
    return call((id) => this.#native.setPaused(hub, id, [...queues], false))
  }

  /** The offset of the next message that `poll` hands out of a queue. */
  async position(queue: MessageQueue): Promise<bigint> {
    return call((id) => this.#native.position(hub, id, queue))
  }

  /** What the group committed for a queue. */
  async committed(queue: MessageQueue, options: CallOptions = {}): Promise<bigint | undefined> {
    const found = await call<bigint | null>(
      (id) => this.#native.committed(hub, id, queue),
      options,
    )
    return found ?? undefined
  }

  /** The first offset of what was stored at a time or later. */
  async offsetAt(
    queue: MessageQueue,
    time: Date | number,
    options: CallOptions = {},
  ): Promise<bigint> {
    return call((id) => this.#native.offsetAt(hub, id, queue, Number(time)), options)
  }

  /** Commits what was handed out and waits until the brokers have it. */
  async commit(options: TimedOptions = {}): Promise<void> {
    const ms = timeoutMs(options.timeoutMs, COMMIT_MS)
    await call((id) => this.#native.commit(hub, id, ms), options)
  }

  /** @internal */
  protected override closing(ms: number, options: CallOptions): Promise<void> {
    return call((id) => this.#native.close(hub, id, ms), options)
  }
}
