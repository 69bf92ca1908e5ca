// Sending messages.

import type { NativeCheck, NativeHalf, NativeProducer, NativeSendOptions } from '../native'
import { type CallOptions, type TimedOptions, call, hub } from './calls'
import { listen, timeoutMs, unlisten } from './calls'
import { keysOf } from './config'
import { type ClientConfig, clientKeys } from './config-clients'
import { RmqError } from './errors'
import { Handle } from './handle'
import { type Message, type MessageQueue, type SendResult, ReceivedMessage } from './message'
import { bodyOf, sendResult, toNative } from './message'
import { native } from './native'
import { callerStack } from './open'
import { traced } from './tracing'

/** How a transaction ended; 'unknown' has the broker ask later. */
export type TransactionOutcome = 'commit' | 'rollback' | 'unknown'

/** What a producer is told. */
export interface ProducerConfig extends ClientConfig {
  /** The producer group. */
  group?: string | undefined
  /** How long one send may take, retries included, ms: 3,000 unless said otherwise. */
  sendTimeoutMs?: number | undefined
  /** How often a send that failed is tried again: 2 unless said otherwise. */
  retries?: number | undefined
  /** Sends under way at a time: 10,000 unless said otherwise. One more waits for a free place. */
  maxInFlight?: number | undefined
  /**
   * Whether messages that are sent one by one wait a moment (10 ms; `batchMaxDelayMs` of `config`)
   * for others, so that several travel as one. Each has a result of its own.
   */
  autoBatch?: boolean | undefined
  /** Whether traces of what is sent are written, as Apache's tools read them. */
  trace?: boolean | undefined
  /**
   * Is asked how a transaction ended, by brokers that were not told. Whoever sends in transactions
   * needs one.
   */
  checker?: ((message: ReceivedMessage) => Promise<TransactionOutcome>) | undefined
}

/** How one message is sent. */
export interface SendOptions extends TimedOptions {
  /** The queue that it goes to. */
  queue?: MessageQueue | undefined
}

const OUTCOMES: Record<TransactionOutcome, number> = { commit: 0, rollback: 1, unknown: 2 }
/** What a flush or a request waits unless told otherwise, ms. */
const WAIT_MS = 30_000
const MAX_IN_FLIGHT = 10_000

function outcomeNumber(outcome: TransactionOutcome): number {
  return OUTCOMES[outcome] ?? OUTCOMES.unknown
}

function keys(config: ProducerConfig): Record<string, string> {
  return keysOf(clientKeys(config), {
    producerGroup: config.group,
    sendMsgTimeout: config.sendTimeoutMs,
    retryTimesWhenSendFailed: config.retries,
    autoBatch: config.autoBatch,
    enableTrace: config.trace,
    // The addon counts a send a moment longer than this half does.
    'rmq.maxInFlight': (config.maxInFlight ?? MAX_IN_FLIGHT) + 1_000,
  })
}

function optionsOf(message: Message | undefined, options: SendOptions): NativeSendOptions {
  const made: NativeSendOptions = {}
  if (options.timeoutMs !== undefined) made.timeoutMs = timeoutMs(options.timeoutMs, 0)
  if (message?.shardingKey !== undefined) made.shardingKey = message.shardingKey
  if (options.queue !== undefined) made.queue = options.queue
  return made
}

/** Sends messages to a cluster. */
export class Producer extends Handle {
  readonly #native: NativeProducer
  readonly #checks: number | undefined
  readonly #limit: number
  #inFlight = 0
  readonly #waiting: (() => void)[] = []

  private constructor(
    inner: NativeProducer,
    config: ProducerConfig,
    checks: number | undefined,
    startedAt: string,
  ) {
    super('Producer', `${config.group ?? 'DEFAULT_PRODUCER'} at ${config.namesrv}`, startedAt)
    this.#native = inner
    this.#checks = checks
    this.#limit = config.maxInFlight ?? MAX_IN_FLIGHT
  }

  /** Starts one. Nothing is asked of the network yet. */
  static async start(config: ProducerConfig, options: CallOptions = {}): Promise<Producer> {
    const startedAt = callerStack(Producer.start)
    const given = keys(config)
    const { checker } = config
    const checks = checker && listen<NativeCheck>((check) => void answer(check, checker))
    try {
      const inner = await call<NativeProducer>(
        (id) => native.startProducer(hub, id, given, checks),
        options,
        (late) => void call((id) => late.close(hub, id, 0)).catch(() => {}),
      )
      return new Producer(inner, config, checks, startedAt)
    } catch (error) {
      if (checks !== undefined) unlisten(checks)
      throw error
    }
  }

  /** The id that brokers know this producer by. */
  get clientId(): string {
    return this.#native.clientId
  }

  /** Waits for a place among the sends under way, so that callers feel a slow broker. */
  #enter(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const turn = (): void => {
        signal?.removeEventListener('abort', abort)
        resolve()
      }
      const abort = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(turn), 1)
        reject(signal?.reason)
      }
      this.#waiting.push(turn)
      signal?.addEventListener('abort', abort, { once: true })
    })
  }

  async #placed<T>(signal: AbortSignal | undefined, send: () => Promise<T>): Promise<T> {
    signal?.throwIfAborted()
    // Who came first is first, so that messages of one key keep their order.
    if (this.#inFlight >= this.#limit || this.#waiting.length > 0) await this.#enter(signal)
    else this.#inFlight++
    try {
      return await send()
    } finally {
      const next = this.#waiting.shift()
      // The place goes to the next one, or is free.
      if (next) next()
      else this.#inFlight--
    }
  }

  /** Sends a message; the promise is fulfilled when a broker has stored it. */
  send(message: Message, options: SendOptions = {}): Promise<SendResult> {
    return traced('send', this, [message], ([one]) =>
      this.#placed(options.signal, async () =>
        sendResult(
          await call(
            (id) =>
              this.#native.send(hub, id, toNative(one), bodyOf(one), optionsOf(one, options)),
            options,
          ),
        ),
      ),
    )
  }

  /** Sends several messages of one topic as one: all are stored, or none. */
  sendBatch(messages: readonly Message[], options: SendOptions = {}): Promise<SendResult> {
    return traced('sendBatch', this, messages, (all) =>
      this.#placed(options.signal, async () =>
        sendResult(
          await call(
            (id) =>
              this.#native.sendBatch(
                hub,
                id,
                all.map(toNative),
                all.map(bodyOf),
                optionsOf(all[0], options),
              ),
            options,
          ),
        ),
      ),
    )
  }

  /**
   * Sends a message that nobody acknowledges: it is lost without notice if anything goes wrong
   * after this returned.
   */
  sendOneway(message: Message, options: Omit<SendOptions, 'signal'> = {}): void {
    traced('sendOneway', this, [message], ([one]) => {
      const failure = this.#native.sendOneway(toNative(one), bodyOf(one), optionsOf(one, options))
      if (failure) throw new RmqError(failure)
    })
  }

  /** Sends a message and waits for the one that its consumer answers with. */
  async request(message: Message, options: TimedOptions = {}): Promise<ReceivedMessage> {
    const ms = timeoutMs(options.timeoutMs, WAIT_MS)
    return traced('request', this, [message], async ([one]) => {
      const ask = (id: number): void =>
        this.#native.request(hub, id, toNative(one), bodyOf(one), ms)
      return new ReceivedMessage(await call(ask, options))
    })
  }

  /**
   * Sends a message in a transaction: it is stored, `execute` runs, and the message is delivered if
   * that says 'commit'. If it throws, the broker asks `checker` later, and the promise is rejected
   * with what was thrown.
   */
  transaction(
    message: Message,
    execute: (sent: SendResult) => Promise<TransactionOutcome>,
    options: SendOptions = {},
  ): Promise<SendResult & { outcome: TransactionOutcome }> {
    return traced('transaction', this, [message], ([one]) =>
      this.#transaction(one, execute, options),
    )
  }

  async #transaction(
    message: Message,
    execute: (sent: SendResult) => Promise<TransactionOutcome>,
    options: SendOptions,
  ): Promise<SendResult & { outcome: TransactionOutcome }> {
    const half = await this.#placed(options.signal, () =>
      call<NativeHalf>(
        (id) =>
          this.#native.sendHalf(
            hub,
            id,
            toNative(message),
            bodyOf(message),
            optionsOf(message, options),
          ),
        options,
        (late) => void late.end(OUTCOMES.rollback),
      ),
    )
    const sent = sendResult(half.result)
    // Stored less safely than asked for.
    let outcome: TransactionOutcome = 'rollback'
    if (sent.status === 'SEND_OK') {
      outcome = 'unknown'
      try {
        outcome = await execute(sent)
      } finally {
        // What does not reach the broker is asked by it.
        half.end(outcomeNumber(outcome))
      }
    } else {
      half.end(OUTCOMES.rollback)
    }
    return { ...sent, outcome }
  }

  /**
   * Takes a timed message back that was not delivered yet, with `recallHandle` of its result.
   * Answers its id.
   */
  async recall(topic: string, recallHandle: string, options: CallOptions = {}): Promise<string> {
    return call((id) => this.#native.recall(hub, id, topic, recallHandle), options)
  }

  /** The queues that a topic's messages can be sent to. */
  async queues(topic: string, options: CallOptions = {}): Promise<MessageQueue[]> {
    return call((id) => this.#native.queues(hub, id, topic), options)
  }

  /** Waits until nothing is under way. */
  async flush(options: TimedOptions = {}): Promise<void> {
    const ms = timeoutMs(options.timeoutMs, WAIT_MS)
    await call((id) => this.#native.flush(hub, id, ms), options)
  }

  /** @internal */
  protected override async closing(ms: number, options: CallOptions): Promise<void> {
    try {
      await call((id) => this.#native.close(hub, id, ms), options)
    } finally {
      if (this.#checks !== undefined) unlisten(this.#checks)
    }
  }
}

/** What the checker throws is an unhandled rejection, and the broker asks again. */
async function answer(
  check: NativeCheck,
  checker: NonNullable<ProducerConfig['checker']>,
): Promise<void> {
  const { message } = check
  if (!message) return
  check.answer(outcomeNumber(await checker(new ReceivedMessage(message))))
}
