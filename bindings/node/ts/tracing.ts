// What programs that trace or measure are told, by channels of node:diagnostics_channel.

import { type TracingChannel, tracingChannel } from 'node:diagnostics_channel'

import type { Delivery } from './consumer'
import type { Message, ReceivedMessage, SendResult } from './message'

/** A message that is about to be sent. Whoever is told of the start may add properties. */
export interface TracedMessage extends Message {
  properties: Record<string, string>
}

/** What the channels `tracing:rmq:send:*` tell of a call that sends. */
export interface SendTrace {
  readonly operation: 'send' | 'sendBatch' | 'sendOneway' | 'request' | 'transaction'
  /** The id that brokers know the producer by. */
  readonly clientId: string
  /** Copies of what was given; these are sent. */
  readonly messages: readonly TracedMessage[]
  /** At the end: what the call answered. */
  readonly result?: SendResult | ReceivedMessage | undefined
  /** At the end: why it failed. */
  readonly error?: unknown
}

/** What the channels `tracing:rmq:consume:*` tell of the work on a message. */
export interface ConsumeTrace {
  /** The consumer group. */
  readonly group: string
  readonly delivery: Delivery
  /** At the end: what the handler threw. The message comes again later. */
  readonly error?: unknown
}

const sends = tracingChannel<unknown, SendTrace>('rmq:send')
const consumptions = tracingChannel<unknown, ConsumeTrace>('rmq:consume')

function isWatched(channel: TracingChannel<unknown, any>): boolean {
  const { start, end, asyncStart, asyncEnd, error } = channel
  return (
    start.hasSubscribers ||
    end.hasSubscribers ||
    asyncStart.hasSubscribers ||
    asyncEnd.hasSubscribers ||
    error.hasSubscribers
  )
}

/** Sends messages; whoever listens is told, and nothing is made for nobody. */
export function traced<const M extends readonly Message[], R>(
  operation: SendTrace['operation'],
  producer: { readonly clientId: string },
  messages: M,
  run: (messages: M) => R,
): R {
  if (!isWatched(sends)) return run(messages)
  // Properties that are added are not to get into the messages of the program.
  const copies = messages.map((one) => ({ ...one, properties: { ...one.properties } }))
  const trace = { operation, clientId: producer.clientId, messages: copies }
  const body = (): R => run(copies as readonly Message[] as M)
  if (operation === 'sendOneway') return sends.traceSync(body, trace) as R
  return sends.tracePromise(body as () => Promise<unknown>, trace) as R
}

/** Has a handler work on a message; whoever listens is told. */
export function worked(
  group: string,
  delivery: Delivery,
  work: (delivery: Delivery) => unknown,
): unknown {
  if (!isWatched(consumptions)) return work(delivery)
  return consumptions.tracePromise(async () => work(delivery), { group, delivery })
}

/** The same for one that a loop works on. What is returned is called when it is done. */
export function handedOut(group: string, delivery: Delivery): () => void {
  let over = (): void => {}
  if (isWatched(consumptions)) {
    void worked(group, delivery, () => new Promise<void>((resolve) => (over = resolve)))
  }
  return () => over()
}
