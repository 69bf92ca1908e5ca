// Administration.

import type { NativeAdmin, NativeOffsets, NativeReceived } from '../native'
import { type CallOptions, call, hub } from './calls'
import { type Config, keysOf } from './config'
import { type ClientConfig, clientKeys } from './config-clients'
import { Handle } from './handle'
import { type MessageQueue, ReceivedMessage } from './message'
import { native } from './native'
import { callerStack } from './open'

/** What JSON can hold. */
export type Json = null | boolean | number | string | Json[] | { [name: string]: Json }

/** How a topic is made or changed. */
export interface TopicOptions extends CallOptions {
  /** Queues on each broker, 8 unless said otherwise. */
  queues?: number | undefined
  /** 2 writes, 4 reads, 6 (the default) does both. */
  perm?: number | undefined
  /** Whether producers stop rather than move to another queue. */
  order?: boolean | undefined
  /** Attributes such as `message.type`. */
  attributes?: Readonly<Record<string, string>> | undefined
}

/** How a consumer group is made or changed. */
export interface GroupOptions extends CallOptions {
  /** After how many failures a message becomes a dead letter. */
  retryMaxTimes?: number | undefined
  /** Queues of the group's retry topic. */
  retryQueueNums?: number | undefined
  /** Whether its messages are consumed in order. */
  orderly?: boolean | undefined
}

/** The offsets of a queue that has messages from `first` on, and before `end`. */
export interface QueueOffsets {
  readonly queue: MessageQueue
  readonly first: bigint
  readonly end: bigint
}

/** How far a group has come with a queue. */
export interface GroupOffsets {
  readonly queue: MessageQueue
  /** The next message that the group gets. */
  readonly committed: bigint
  /** The offset that the next message sent will have. */
  readonly end: bigint
}

const MESSAGES_MAX = 64

/** Looks at a cluster and changes it: topics, groups, offsets, messages. */
export class Admin extends Handle {
  readonly #native: NativeAdmin

  private constructor(inner: NativeAdmin, config: ClientConfig, startedAt: string) {
    super('Admin', config.namesrv, startedAt)
    this.#native = inner
  }

  /** Starts one. Nothing is asked of the network yet. */
  static async start(config: ClientConfig, options: CallOptions = {}): Promise<Admin> {
    const startedAt = callerStack(Admin.start)
    const keys = clientKeys(config)
    const inner = await call<NativeAdmin>(
      (id) => native.startAdmin(hub, id, keys),
      options,
      (late) => void call((id) => late.close(hub, id)).catch(() => {}),
    )
    return new Admin(inner, config, startedAt)
  }

  /**
   * Runs a command of Apache's `mqadmin` by its name, with its long options as arguments; 'help'
   * answers what there is. Numbers beyond 2^53 lose digits; offsets as bigints have functions of
   * their own here.
   */
  async invoke(command: string, args: Config = {}, options: CallOptions = {}): Promise<Json> {
    const given = JSON.stringify(keysOf(args))
    const answer = await call<string>((id) => this.#native.invoke(hub, id, command, given), options)
    return JSON.parse(answer) as Json
  }

  /** Creates a topic on every master, or changes it. */
  async createTopic(topic: string, options: TopicOptions = {}): Promise<void> {
    const attributes = Object.entries(options.attributes ?? {})
    const args = {
      topic,
      readQueueNums: options.queues,
      writeQueueNums: options.queues,
      perm: options.perm,
      order: options.order,
      attributes: attributes.length
        ? attributes.map(([name, value]) => `+${name}=${value}`).join(',')
        : undefined,
    }
    await this.invoke('updateTopic', args, options)
  }

  /** Deletes a topic with its messages. */
  async deleteTopic(topic: string, options: CallOptions = {}): Promise<void> {
    await this.invoke('deleteTopic', { topic }, options)
  }

  /** The names of all topics. */
  async topics(options: CallOptions = {}): Promise<string[]> {
    const answer = await this.invoke('topicList', {}, options)
    return (answer as { topicList: string[] }).topicList
  }

  /** Creates a consumer group on every master, or changes it. */
  async createGroup(group: string, options: GroupOptions = {}): Promise<void> {
    const { retryMaxTimes, retryQueueNums, orderly } = options
    const args = { group, retryMaxTimes, retryQueueNums, consumeMessageOrderly: orderly }
    await this.invoke('updateSubGroup', args, options)
  }

  /** Deletes a consumer group with its offsets. */
  async deleteGroup(group: string, options: CallOptions = {}): Promise<void> {
    await this.invoke('deleteSubGroup', { group, removeOffset: true }, options)
  }

  /** First and last offsets of every queue of a topic. */
  topicOffsets(topic: string, options: CallOptions = {}): Promise<QueueOffsets[]> {
    return call((id) => this.#native.topicOffsets(hub, id, topic), options)
  }

  /** How far a group has come with a topic. */
  async groupOffsets(
    group: string,
    topic: string,
    options: CallOptions = {},
  ): Promise<GroupOffsets[]> {
    const found = await call<NativeOffsets[]>(
      (id) => this.#native.groupOffsets(hub, id, group, topic),
      options,
    )
    return found.map(({ queue, first, end }) => ({ queue, committed: first, end }))
  }

  /**
   * Has a group go on with what was stored at a time or later.
   */
  async resetOffsets(
    group: string,
    topic: string,
    time: Date | number,
    options: CallOptions = {},
  ): Promise<void> {
    const args = { group, topic, timestamp: Number(time), force: true }
    await this.invoke('resetOffsetByTime', args, options)
  }

  /** The messages of a topic that have a key. */
  messagesByKey(
    topic: string,
    key: string,
    options: CallOptions & { max?: number | undefined } = {},
  ): Promise<ReceivedMessage[]> {
    const max = options.max ?? MESSAGES_MAX
    return messages((id) => this.#native.messagesByKey(hub, id, topic, key, max), options)
  }

  /** The messages of a topic that have a unique id: `SendResult.msgId`. */
  messagesById(
    topic: string,
    msgId: string,
    options: CallOptions = {},
  ): Promise<ReceivedMessage[]> {
    return messages((id) => this.#native.messagesById(hub, id, topic, msgId), options)
  }

  /** The message that is stored at a place: `SendResult.offsetMsgId`. */
  async messageAt(offsetMsgId: string, options: CallOptions = {}): Promise<ReceivedMessage> {
    const found = await call<NativeReceived>(
      (id) => this.#native.messageAt(hub, id, offsetMsgId),
      options,
    )
    return new ReceivedMessage(found)
  }

  /** @internal */
  protected override closing(_ms: number, options: CallOptions): Promise<void> {
    return call((id) => this.#native.close(hub, id), options)
  }
}

async function messages(
  begin: (id: number) => void,
  options: CallOptions,
): Promise<ReceivedMessage[]> {
  const found = await call<NativeReceived[]>(begin, options)
  return found.map((one) => new ReceivedMessage(one))
}
