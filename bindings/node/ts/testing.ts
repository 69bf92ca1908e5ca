/**
 * Helpers for tests with node:test, Jest and Vitest: clusters that come and go with a file or a
 * test, topics of one's own, messages that are waited for.
 *
 *     import { after, afterEach, before, beforeEach, test } from 'node:test'
 *     import { useCluster } from 'rmq/testing'
 *
 *     const rmq = useCluster({ before, after, beforeEach, afterEach })
 *
 *     test('orders are announced', async () => {
 *       const topic = await rmq.topic()
 *       const captured = await rmq.capture(topic)
 *       await announce(rmq.namesrv, topic)
 *       const [message] = await captured.waitFor(1)
 *     })
 *
 * Jest and Vitest have `beforeAll` and `afterAll` in place of `before` and `after`.
 *
 * @packageDocumentation
 */

import { Admin } from './admin'
import { monotonicMs, realSleep } from './calls'
import { type Cluster, type ClusterOptions, startCluster } from './cluster'
import { type Filter } from './config-clients'
import { PushConsumer, type PushConsumerConfig } from './consumer'
import { invalid } from './errors'
import type { ReceivedMessage } from './message'
import { Producer, type ProducerConfig } from './producer'
import { PullConsumer, type PullConsumerConfig } from './pull'

/** How something is waited for. */
export interface WaitOptions {
  /** How long, 10,000 unless said otherwise. */
  timeoutMs?: number | undefined
  /** How often it is looked at, 10 unless said otherwise. */
  intervalMs?: number | undefined
  /** What is waited for, for the error. */
  what?: string | undefined
}

const PATIENCE_MS = 10_000
const INTERVAL_MS = 10

/**
 * Waits until `condition` answers something else than false, null and undefined, and gives it back.
 * What it throws counts as "not yet"; when the time is over, that or an error with `what` is
 * thrown. Works while timers are faked.
 */
export async function waitFor<T>(
  condition: () => T | Promise<T>,
  options: WaitOptions = {},
): Promise<Exclude<T, false | null | undefined>> {
  const { timeoutMs = PATIENCE_MS, intervalMs = INTERVAL_MS, what = 'a condition' } = options
  const until = monotonicMs() + timeoutMs
  for (;;) {
    let thrown: unknown
    try {
      const found = await condition()
      if (found !== false && found !== null && found !== undefined) {
        return found as Exclude<T, false | null | undefined>
      }
    } catch (error) {
      thrown = error
    }
    if (monotonicMs() >= until) {
      throw thrown ?? new Error(`${what} did not come about within ${timeoutMs} ms`)
    }
    await realSleep(intervalMs)
  }
}

/** Messages of a topic, as they come. */
export class Captured {
  /** What has come so far, in the order of arrival. */
  readonly messages: ReceivedMessage[] = []
  readonly #consumer: PushConsumer
  readonly #ran: Promise<void>

  /** @internal */
  constructor(consumer: PushConsumer) {
    this.#consumer = consumer
    this.#ran = consumer.run((delivery) => void this.messages.push(delivery), { concurrency: 64 })
  }

  /** Waits for so many messages, or until `enough` says so of them. */
  async waitFor(
    enough: number | ((messages: readonly ReceivedMessage[]) => boolean),
    options: WaitOptions = {},
  ): Promise<ReceivedMessage[]> {
    const met = typeof enough === 'number'
      ? () => this.messages.length >= enough
      : () => enough(this.messages)
    try {
      await waitFor(met, options)
    } catch {
      const texts = this.messages.slice(0, 10).map((message) => JSON.stringify(message.text))
      const wanted = typeof enough === 'number' ? `${enough} messages` : 'the messages'
      const came = `${this.messages.length} came: ${texts.join(', ')}`
      throw new Error(`${options.what ?? wanted} did not come; ${came}`)
    }
    return [...this.messages]
  }

  /** Forgets what has come. */
  clear(): void {
    this.messages.length = 0
  }

  /** Captures no more. */
  async close(): Promise<void> {
    await this.#consumer.close()
    await this.#ran
  }
}

let made = 0

/** A name that nothing else in this process has. */
export function uniqueName(prefix = 'test'): string {
  return `${prefix}-${process.pid}-${Date.now().toString(36)}-${++made}`
}

interface Closing {
  close(): Promise<void>
}

/** A cluster and what a test opens at it; all of it ends together. */
export class TestCluster implements AsyncDisposable {
  readonly cluster: Cluster
  readonly #open: Closing[] = []
  #admin: Promise<Admin> | undefined

  private constructor(cluster: Cluster) {
    this.cluster = cluster
  }

  /** Starts one, in memory unless the options say otherwise. */
  static async start(options: ClusterOptions = {}): Promise<TestCluster> {
    return new TestCluster(await startCluster({ storage: 'memory', ...options }))
  }

  /** The nameservers as clients take them. */
  get namesrv(): string {
    return this.cluster.namesrv
  }

  /** An admin client. */
  admin(): Promise<Admin> {
    this.#admin ??= Admin.start({ namesrv: this.namesrv })
    return this.#admin
  }

  /** Makes a topic that nobody else uses. */
  async topic(prefix = 'topic', options: { queues?: number } = {}): Promise<string> {
    const name = uniqueName(prefix)
    await (await this.admin()).createTopic(name, { queues: options.queues ?? 4 })
    return name
  }

  /** The name of a group that nobody else uses. */
  group(prefix = 'group'): string {
    return uniqueName(prefix)
  }

  #keep<T extends Closing>(handle: T): T {
    this.#open.push(handle)
    return handle
  }

  /** A producer that is closed with the cluster. */
  async producer(config: Partial<ProducerConfig> = {}): Promise<Producer> {
    const group = this.group('producers')
    return this.#keep(await Producer.start({ namesrv: this.namesrv, group, ...config }))
  }

  /** A push consumer that is closed with the cluster; it begins with the first message. */
  async consumer(
    config: Partial<PushConsumerConfig> & Pick<PushConsumerConfig, 'subscribe'>,
  ): Promise<PushConsumer> {
    const base = { namesrv: this.namesrv, group: this.group(), startFrom: 'first' as const }
    return this.#keep(await PushConsumer.start({ ...base, ...config }))
  }

  /** A pull consumer that is closed with the cluster; it begins with the first message. */
  async pullConsumer(config: Partial<PullConsumerConfig> = {}): Promise<PullConsumer> {
    const base = { namesrv: this.namesrv, group: this.group(), startFrom: 'first' as const }
    return this.#keep(await PullConsumer.start({ ...base, ...config }))
  }

  /** Collects the messages of a topic, those that are there already too. */
  async capture(topic: string, filter: Filter = '*'): Promise<Captured> {
    const config = { namesrv: this.namesrv, group: this.group('captured') }
    const subscribe = { [topic]: filter }
    const consumer = await PushConsumer.start({ ...config, startFrom: 'first', subscribe })
    return this.#keep(new Captured(consumer))
  }

  /** Closes what was opened here, but for the cluster. */
  async closeClients(): Promise<void> {
    const open: Closing[] = this.#open.splice(0)
    if (this.#admin) open.push(await this.#admin)
    this.#admin = undefined
    const ended = await Promise.allSettled(open.map((one) => one.close()))
    for (const one of ended) if (one.status === 'rejected') throw one.reason
  }

  /** Closes everything. */
  async close(): Promise<void> {
    try {
      await this.closeClients()
    } finally {
      await this.cluster.close()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}

/** A hook of a test framework. */
export type Hook = (body: () => Promise<void>) => unknown

/** The hooks of a test framework: those of node:test, or of Jest and Vitest. */
export interface Hooks {
  before?: Hook | undefined
  after?: Hook | undefined
  beforeAll?: Hook | undefined
  afterAll?: Hook | undefined
  beforeEach?: Hook | undefined
  afterEach?: Hook | undefined
}

/** What `useCluster` is told besides what the cluster is made of. */
export interface UseOptions extends ClusterOptions {
  /**
   * Whether a cluster serves all tests of the file (the default), whose clients are closed after
   * each test if there is an `afterEach`, or each test has one of its own.
   */
  per?: 'file' | 'test' | undefined
}

/** A stand-in for the cluster that the hooks start. */
export type UsedCluster = Omit<TestCluster, 'close' | 'closeClients' | typeof Symbol.asyncDispose>

/** Has the hooks of a test framework start and close a cluster. */
export function useCluster(hooks: Hooks, options: UseOptions = {}): UsedCluster {
  const { per = 'file', ...clusterOptions } = options
  const [begin, end] = per === 'test'
    ? [hooks.beforeEach, hooks.afterEach]
    : [hooks.before ?? hooks.beforeAll, hooks.after ?? hooks.afterAll]
  if (!begin || !end) {
    const names = per === 'test' ? 'beforeEach and afterEach' : 'before(All) and after(All)'
    throw invalid(`useCluster needs the hooks ${names} of the test framework`)
  }
  let current: TestCluster | undefined
  begin(async () => {
    current = await TestCluster.start(clusterOptions)
  })
  if (per === 'file') hooks.afterEach?.(async () => current?.closeClients())
  end(async () => {
    const ending = current
    current = undefined
    await ending?.close()
  })
  const running = (): TestCluster => {
    if (!current) throw invalid('the cluster is there only while tests run')
    return current
  }
  return new Proxy({} as UsedCluster, {
    get(_, name) {
      const cluster = running()
      const value: unknown = Reflect.get(cluster, name, cluster)
      return typeof value === 'function' ? value.bind(cluster) : value
    },
  })
}
