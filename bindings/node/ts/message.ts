// Messages.

import { isUint8Array } from 'node:util/types'

import type { NativeMessage, NativeReceived, NativeSendResult } from '../native'
import { RmqError, invalid } from './errors'
import { native } from './native'

/** A message to send. */
export interface Message {
  /** The topic. */
  topic: string
  /** The body; text is sent as UTF-8. */
  body: Uint8Array | string
  /** The tag that consumers can choose by. */
  tags?: string | undefined
  /** Keys that the message can be found by; none has a space in it. */
  keys?: string | readonly string[] | undefined
  /** Other properties. */
  properties?: Readonly<Record<string, string>> | undefined
  /** Deliver it after the time of this delay level of the broker, from 1. */
  delayLevel?: number | undefined
  /** Deliver it so long after it was stored, ms. */
  delayMs?: number | undefined
  /** Deliver it at this time; a number is ms since the epoch. */
  deliverAt?: Date | number | undefined
  /** Messages of one key go to one queue, in their order. */
  shardingKey?: string | undefined
  /** A number for the program's own use. */
  flag?: number | undefined
}

/** One queue of a topic. */
export interface MessageQueue {
  readonly topic: string
  readonly brokerName: string
  readonly queueId: number
}

/** How safely a message is stored. */
export type SendStatus =
  | 'SEND_OK'
  | 'FLUSH_DISK_TIMEOUT'
  | 'FLUSH_SLAVE_TIMEOUT'
  | 'SLAVE_NOT_AVAILABLE'

/** What became of a message. */
export interface SendResult {
  /** SEND_OK: as safely as the broker promises. Otherwise it is stored, but less safely. */
  readonly status: SendStatus
  /** Its unique id; of a batch, all of them joined by commas. */
  readonly msgId: string
  /** The id that says where it is stored. */
  readonly offsetMsgId: string
  /** The queue it is in. */
  readonly queue: MessageQueue
  /** Its offset there; of a batch, that of the first message. */
  readonly queueOffset: bigint
  /** The transaction's id, of a message that was sent in one. */
  readonly transactionId?: string
  /** With it a timed message can be recalled. */
  readonly recallHandle?: string
}

/** A whole number from 0, or nothing. */
function whole(name: string, value: number | undefined): number | undefined {
  if (value === undefined || (Number.isSafeInteger(value) && value >= 0)) return value
  throw invalid(`${name} is ${String(value)}, not a whole number from 0`)
}

/** A message as the addon takes it. */
export function toNative(message: Message): NativeMessage {
  const { topic, tags, keys, flag, properties, delayLevel, delayMs, deliverAt } = message
  if (typeof topic !== 'string') throw invalid('a message has no topic')
  const made: NativeMessage = { topic }
  if (tags !== undefined) made.tags = tags
  if (keys !== undefined) made.keys = typeof keys === 'string' ? keys : keys.join(' ')
  if (flag !== undefined) made.flag = flag
  if (properties !== undefined) made.properties = { ...properties }
  if (delayLevel !== undefined) made.delayLevel = whole('delayLevel', delayLevel)!
  if (delayMs !== undefined) made.delayMs = whole('delayMs', delayMs)!
  if (deliverAt !== undefined) made.deliverAtMs = whole('deliverAt', Number(deliverAt))!
  return made
}

/** A body as the addon takes it, which copies it before it returns. */
export function bodyOf(message: Message): Buffer {
  const { body } = message
  if (typeof body === 'string') return Buffer.from(body)
  if (Buffer.isBuffer(body)) return body
  if (!isUint8Array(body)) throw invalid('a body is neither text nor a Uint8Array')
  return Buffer.from(body.buffer, body.byteOffset, body.byteLength)
}

export function sendResult(sent: NativeSendResult): SendResult {
  return sent as SendResult
}

function parse(text: string): Record<string, string> {
  const properties: Record<string, string> = Object.create(null)
  for (const pair of text.split('\u0002')) {
    const at = pair.indexOf('\u0001')
    if (at >= 0) properties[pair.slice(0, at)] = pair.slice(at + 1)
  }
  return properties
}

/** A message from a broker. */
export class ReceivedMessage {
  readonly #native: NativeReceived
  #properties: Readonly<Record<string, string>> | undefined

  /** @internal */
  constructor(inner: NativeReceived) {
    this.#native = inner
  }

  /** The topic that it was sent to. */
  get topic(): string {
    return this.#native.topic
  }

  /** The body. It is the program's own: nobody else sees or changes its bytes. */
  get body(): Buffer {
    return this.#native.body
  }

  /** The body as text. */
  get text(): string {
    return this.#native.body.toString('utf8')
  }

  /** The id that its producer gave it: `SendResult.msgId`. */
  get msgId(): string {
    return this.#native.msgId
  }

  /** The id that says where it is stored. */
  get offsetMsgId(): string {
    return this.#native.offsetMsgId
  }

  /** The properties, those that RocketMQ knows among them. */
  get properties(): Readonly<Record<string, string>> {
    this.#properties ??= Object.freeze(parse(this.#native.properties))
    return this.#properties
  }

  /** The tag. */
  get tags(): string | undefined {
    return this.properties['TAGS']
  }

  /** The keys. */
  get keys(): string[] {
    return (this.properties['KEYS'] ?? '').split(' ').filter((key) => key !== '')
  }

  /** The queue that it is in; its `brokerName` is empty where it is not known. */
  get queue(): MessageQueue {
    const { topic, brokerName, queueId } = this.#native
    return { topic, brokerName: brokerName ?? '', queueId }
  }

  /** Its offset there. */
  get queueOffset(): bigint {
    return this.#native.queueOffset
  }

  /** How often it came before and was not consumed. */
  get reconsumeTimes(): number {
    return this.#native.reconsumeTimes
  }

  /** When it was sent. */
  get bornAt(): Date {
    return new Date(this.#native.bornTimestampMs)
  }

  /** When it was stored. */
  get storedAt(): Date {
    return new Date(this.#native.storeTimestampMs)
  }

  /** By whom it was sent: `host:port`. */
  get bornHost(): string {
    return this.#native.bornHost
  }

  /** Where it is stored: `host:port`. */
  get storeHost(): string {
    return this.#native.storeHost
  }

  /** A number for the program's own use. */
  get flag(): number {
    return this.#native.flag
  }

  /** What is worth seeing of it in the console. */
  [Symbol.for('nodejs.util.inspect.custom')](): unknown {
    const { topic, msgId, tags, keys, queueOffset, reconsumeTimes, body } = this
    return { topic, msgId, tags, keys, queueOffset, reconsumeTimes, body }
  }
}

/**
 * The message that answers a request; a producer sends it like any other. Throws if the message
 * does not wait for a reply.
 */
export function replyTo(request: ReceivedMessage, body: Uint8Array | string): Message {
  const { topic, properties, failure } = native.replyTo({ ...request.properties })
  if (failure) throw new RmqError(failure)
  return { topic: topic!, body, properties: properties! }
}
