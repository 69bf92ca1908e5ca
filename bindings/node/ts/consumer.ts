// Consumers that messages are pushed to.

import type { NativePushConsumer, NativeReceived } from '../native'
import { type CallOptions, call, hub, turn } from './calls'
import { type ConsumerConfig, type Filter, consumerKeys, subscription } from './config-clients'
import { RmqError, invalid } from './errors'
import { Handle } from './handle'
import { type MessageQueue, ReceivedMessage } from './message'
import { native } from './native'
import { callerStack } from './open'
import { handedOut, worked } from './tracing'

/** What a push consumer is told. */
export interface PushConsumerConfig extends ConsumerConfig {
  /** What it takes, by topic. */
  subscribe: Readonly<Record<string, Filter>>
  /**
   * Whether messages of each queue are given out one after the other, in their order. One that
   * comes again later holds its queue up.
   */
  orderly?: boolean | undefined
  /** After how many failures a message becomes a dead letter; 16 unless said otherwise. */
  maxReconsumeTimes?: number | undefined
  /** Whether traces of what is consumed are written, as Apache's tools read them. */
  trace?: boolean | undefined
}

/** How `run` works. */
export interface RunOptions extends CallOptions {
  /** Most handlers that work at a time, 1 unless said otherwise. */
  concurrency?: number | undefined
  /**
   * Is told what a handler threw; its message comes again later. Without it that is a warning of
   * the process. What this throws ends `run`.
   */
  onError?: ((error: unknown, delivery: Delivery) => void) | undefined
}

/** Works on a message: fulfilled means done with, rejected that it is to come again. */
export type Handler = (delivery: Delivery) => unknown

/** Steps after which the event loop gets its turn. */
const STEPS_MAX = 64

/** What a delivery that was forgotten without an answer leaves behind. */
interface Forgotten {
  readonly inner: NativePushConsumer
  readonly token: number
}

// As when the answer were `later`: without it the queue would stand still for ever.
const forgotten = new FinalizationRegistry<Forgotten>(({ inner, token }) => {
  inner.answer(token, 0)
})

/** A message that somebody works on. It is answered for once: the first answer counts. */
export class Delivery extends ReceivedMessage {
  readonly #inner: NativePushConsumer
  readonly #token: number
  #answered = false

  /** @internal */
  constructor(inner: NativePushConsumer, received: NativeReceived, watched: boolean) {
    super(received)
    this.#inner = inner
    this.#token = received.token
    if (watched) forgotten.register(this, { inner, token: received.token }, this)
  }

  /** Whether it was answered for. */
  get answered(): boolean {
    return this.#answered
  }

  #answer(level: number | undefined): void {
    if (this.#answered) return
    this.#answered = true
    forgotten.unregister(this)
    this.#inner.answer(this.#token, level)
  }

  /** The message is done with. */
  ack(): void {
    this.#answer(undefined)
  }

  /**
   * The message is to come again: after a delay level of the broker, from 1; without one the later
   * the more often it came before; at -1 it is given up and becomes a dead letter.
   */
  later(delayLevel = 0): void {
    if (!Number.isInteger(delayLevel)) throw invalid(`delayLevel is ${delayLevel}`)
    this.#answer(delayLevel)
  }
}

/**
 * Takes messages as a member of a group, which it can share with Java clients. Messages are taken
 * by `run`, or by a `for await` loop, in which each has to be answered for:
 *
 *     for await (const delivery of consumer) {
 *       await work(delivery.body)
 *       delivery.ack()
 *     }
 *
 * Messages that were not taken yet wait within limits; a slow program takes them slowly and needs
 * no more memory.
 */
export class PushConsumer extends Handle implements AsyncIterable<Delivery> {
  readonly #native: NativePushConsumer
  readonly #group: string
  /** Came for somebody who had given up waiting. */
  readonly #returned: NativeReceived[] = []
  #waiting: Promise<unknown> = Promise.resolve()

  private constructor(inner: NativePushConsumer, config: PushConsumerConfig, startedAt: string) {
    super('PushConsumer', `${config.group} at ${config.namesrv}`, startedAt)
    this.#native = inner
    this.#group = config.group
  }

  /** Starts one; the brokers that can be reached know of it when the promise is fulfilled. */
  static async start(config: PushConsumerConfig, options: CallOptions = {}): Promise<PushConsumer> {
    const startedAt = callerStack(PushConsumer.start)
    const keys = consumerKeys(config, {
      maxReconsumeTimes: config.maxReconsumeTimes,
      enableTrace: config.trace,
    })
    const given = Object.entries(config.subscribe ?? {})
    const subscriptions = given.map(([topic, filter]) => subscription(topic, filter))
    const inner = await call<NativePushConsumer>(
      (id) => native.startPushConsumer(hub, id, keys, subscriptions, config.orderly ?? false),
      options,
      (late) => void call((id) => late.close(hub, id, 0)).catch(() => {}),
    )
    return new PushConsumer(inner, config, startedAt)
  }

  /** The id that brokers know this consumer by. */
  get clientId(): string {
    return this.#native.clientId
  }

  /** The queues that it has now. */
  queues(): MessageQueue[] {
    return this.#native.queues()
  }

  /** Takes a topic more, or another choice of one. */
  async subscribe(topic: string, filter: Filter = '*', options: CallOptions = {}): Promise<void> {
    const made = subscription(topic, filter)
    return call((id) => this.#native.subscribe(hub, id, made), options)
  }

  /** Takes no more of a topic. */
  unsubscribe(topic: string, options: CallOptions = {}): Promise<void> {
    return call((id) => this.#native.unsubscribe(hub, id, topic), options)
  }

  /** Gives out nothing until `resume`. */
  suspend(): void {
    this.#native.suspend()
  }

  /** Goes on after `suspend`. */
  resume(): void {
    this.#native.resume()
  }

  /** What is there, at most `max`. */
  #take(max: number): NativeReceived[] {
    const returned = this.#returned.splice(0, max)
    return returned.length > 0 ? returned : this.#native.take(max)
  }

  /** Waits for messages; undefined when the consumer was closed. One waits at a time. */
  async #next(max: number, signal?: AbortSignal): Promise<NativeReceived[] | undefined> {
    const before = this.#waiting
    const mine = (async () => {
      await before
      signal?.throwIfAborted()
      if (this.closed) return undefined
      const there = this.#take(max)
      if (there.length > 0) return there
      try {
        return await call<NativeReceived[]>(
          (id) => this.#native.next(hub, id, max),
          { signal },
          (late) => void this.#returned.push(...late),
          // Whether the process lives on is said by `ref` and `unref`.
          false,
        )
      } catch (error) {
        if (error instanceof RmqError && error.code === 'RMQ_E_CLOSED') return undefined
        // The native half still waits; what it brings is kept for the next one.
        if (signal?.aborted) this.#native.wake()
        throw error
      }
    })()
    this.#waiting = mine.catch(() => {})
    return mine
  }

  /**
   * Has `handler` work on messages until the consumer is closed; then it waits for the handlers
   * that work. An aborted `signal` does the same and rejects the promise with its reason.
   */
  async run(handler: Handler, options: RunOptions = {}): Promise<void> {
    const { concurrency = 1, signal } = options
    if (!(Number.isInteger(concurrency) && concurrency > 0)) {
      throw invalid(`concurrency is ${concurrency}`)
    }
    const told: Handler = (delivery) => worked(this.#group, delivery, handler)
    let working = 0
    let ended: (() => void) | undefined
    const oneEnds = (): Promise<void> => new Promise((resolve) => (ended = resolve))
    let failure: { error: unknown } | undefined
    const work = async (received: NativeReceived): Promise<void> => {
      try {
        await handle(told, new Delivery(this.#native, received, false), options)
      } catch (error) {
        failure ??= { error }
      }
      working--
      ended?.()
    }
    try {
      for (let steps = 1; !failure; steps++) {
        signal?.throwIfAborted()
        const free = concurrency - working
        if (free === 0) {
          await oneEnds()
          continue
        }
        let taken: NativeReceived[] | undefined = this.closed ? undefined : this.#take(free)
        if (taken?.length === 0) taken = await this.#next(free, signal)
        if (!taken) break
        working += taken.length
        for (const received of taken) void work(received)
        if (steps % STEPS_MAX === 0) await turn()
      }
    } finally {
      while (working > 0) await oneEnds()
    }
    if (failure) throw failure.error
  }

  /**
   * Messages one by one, until the consumer is closed. Whoever leaves the loop without an answer
   * for the last one says `later`.
   */
  async *[Symbol.asyncIterator](): AsyncGenerator<Delivery, void, undefined> {
    let steps = 0
    while (!this.closed) {
      const taken: NativeReceived[] | undefined = this.#take(1)
      const [received] = taken.length > 0 ? taken : ((await this.#next(1)) ?? [])
      if (!received) continue
      const delivery = new Delivery(this.#native, received, true)
      const done = handedOut(this.#group, delivery)
      let left = true
      try {
        yield delivery
        left = false
      } finally {
        if (left) delivery.later()
        done()
      }
      if (++steps % STEPS_MAX === 0) await turn()
    }
  }

  /** @internal */
  protected override async closing(ms: number, options: CallOptions): Promise<void> {
    // Nobody will take these.
    for (const { token } of this.#returned.splice(0)) this.#native.answer(token, 0)
    await call((id) => this.#native.close(hub, id, ms), options)
  }
}

async function handle(handler: Handler, delivery: Delivery, options: RunOptions): Promise<void> {
  try {
    await handler(delivery)
  } catch (error) {
    delivery.later()
    if (options.onError) {
      options.onError(error, delivery)
    } else {
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
      const warning = `the handler of a message failed; the message comes again later: ${text}`
      process.emitWarning(warning, 'RmqHandlerWarning')
    }
    return
  }
  // Unless the handler has answered by itself.
  delivery.ack()
}
