// Whole clusters in this process, for tests.

import type { NativeCluster } from '../native'
import { type CallOptions, type TimedOptions, call, hub, timeoutMs } from './calls'
import { type Config, keysOf } from './config'
import { CLOSE_MS, Handle } from './handle'
import { native } from './native'
import { callerStack } from './open'

/** The four ways to deploy RocketMQ. */
export type Deployment = 'single-master' | 'masters' | 'async-slaves' | 'sync-double-write'

/** What a cluster is made of. */
export interface ClusterOptions extends CallOptions {
  /** One master unless said otherwise. */
  deployment?: Deployment | undefined
  /** Masters: 2 unless said otherwise, 1 with 'single-master'. */
  masters?: number | undefined
  /** Slaves of each master: 1 unless said otherwise, where there are any. */
  slavesEach?: number | undefined
  /** Nameservers, 1 unless said otherwise. */
  nameServers?: number | undefined
  /** When a message counts as stored: 'async' (the default) or 'sync'. */
  flush?: 'async' | 'sync' | undefined
  /**
   * Where members store: 'temporary' (the default), 'memory', or the path of a folder that is
   * kept.
   */
  storage?: 'temporary' | 'memory' | (string & {}) | undefined
  /** With 'manual', `advance` moves the time of the members forward. */
  clock?: 'system' | 'manual' | undefined
  /** The name of the cluster. */
  name?: string | undefined
  /** Whether a send to an unknown topic makes it; it does unless said otherwise. */
  autoCreateTopics?: boolean | undefined
  /** Keys of every broker, as in Apache's broker.conf. */
  config?: Config | undefined
  /** Keys of single members by name. */
  memberConfig?: Readonly<Record<string, Config>> | undefined
}

/** How a member does. */
export interface MemberStatus {
  /** `namesrv-0`, `broker-a` (a master), `broker-a-s` (its slave), `broker-a-s2`. */
  readonly name: string
  readonly role: 'namesrv' | 'master' | 'slave'
  /** Where clients reach it, for its whole life. */
  readonly address: string
  /** The folder that it stores in. */
  readonly folder: string
  readonly running: boolean
  readonly paused: boolean
}

/** How long a restart may take to close a member, ms. */
const PATIENCE_MS = 30_000

function keys(options: ClusterOptions): Record<string, string> {
  const { deployment, storage, config, memberConfig } = options
  const upper = (text: string): string => text.toUpperCase().replaceAll('-', '_')
  const inFolder = storage !== undefined && !['temporary', 'memory'].includes(storage)
  const folder = inFolder && !storage.includes('/') ? `./${storage}` : storage
  const made = keysOf(config, {
    'rmq.cluster.deployment': deployment && upper(deployment),
    'rmq.cluster.masters': options.masters,
    'rmq.cluster.slavesEach': options.slavesEach,
    'rmq.cluster.nameservers': options.nameServers,
    'rmq.cluster.storage': inFolder ? folder : storage && upper(storage),
    'rmq.cluster.clock': options.clock && upper(options.clock),
    flushDiskType: options.flush && `${upper(options.flush)}_FLUSH`,
    brokerClusterName: options.name,
    autoCreateTopicEnable: options.autoCreateTopics,
  })
  for (const [member, config] of Object.entries(memberConfig ?? {})) {
    for (const [key, value] of Object.entries(keysOf(config))) {
      made[`rmq.member.${member}.${key}`] = value
    }
  }
  return made
}

/**
 * A running cluster: nameservers and brokers in this process, each at a loopback address of its
 * own, that can be killed, paused, wiped, cut off and started again. Members are told by name; in
 * partitions `clients` stands for whoever connects from 127.0.0.1.
 */
export class Cluster extends Handle {
  readonly #native: NativeCluster
  /** The nameservers as clients take them: `127.70.1.1:9876;127.70.1.2:9876`. */
  readonly namesrv: string

  /** @internal */
  constructor(inner: NativeCluster, startedAt: string) {
    super('Cluster', inner.nameservers, startedAt)
    this.#native = inner
    this.namesrv = inner.nameservers
  }

  /** How every member does: nameservers first, a master before its slaves. */
  members(): MemberStatus[] {
    return this.#native.members() as MemberStatus[]
  }

  async #act(action: string, member: string, options: TimedOptions = {}): Promise<void> {
    const ms = timeoutMs(options.timeoutMs, PATIENCE_MS)
    return call((id) => this.#native.act(hub, id, action, member, ms), options)
  }

  async #actOnAll(action: string, options: TimedOptions = {}): Promise<void> {
    const ms = timeoutMs(options.timeoutMs, PATIENCE_MS)
    return call((id) => this.#native.actOnAll(hub, id, action, ms), options)
  }

  /** Ends a member as a crash would. */
  kill(member: string): Promise<void> {
    return this.#act('kill', member)
  }

  /** Ends a member in order. */
  stop(member: string, options?: TimedOptions): Promise<void> {
    return this.#act('close', member, options)
  }

  /** Starts a member on what it stored before. */
  start(member: string): Promise<void> {
    return this.#act('start', member)
  }

  /** Ends a member in order, if it runs, and starts it again. */
  restart(member: string, options?: TimedOptions): Promise<void> {
    return this.#act('restart', member, options)
  }

  /** Kills a member and removes what it stored. */
  wipe(member: string): Promise<void> {
    return this.#act('wipe', member)
  }

  /** Stops a member's traffic: it looks like a process that was stopped. */
  async pause(member: string): Promise<void> {
    return this.#act('pause', member)
  }

  /** Lets a paused member go on. */
  async resume(member: string): Promise<void> {
    return this.#act('resume', member)
  }

  /** Divides the network: whoever shares no group does not see each other. */
  partition(...groups: string[][]): Promise<void> {
    return call((id) => this.#native.partition(hub, id, groups))
  }

  /** Keeps what `from` sends from `to`; the other direction stays as it is. */
  cut(from: string, to: string): Promise<void> {
    return call((id) => this.#native.cut(hub, id, from, to))
  }

  /** Ends every partition and cut. */
  heal(): Promise<void> {
    return this.#actOnAll('heal')
  }

  /**
   * Moves the clock of every member forward by `ms`: messages whose delay has passed then are
   * delivered. Needs `clock: 'manual'`.
   */
  async advance(ms: number): Promise<void> {
    const by = timeoutMs(ms, 0)
    return call((id) => this.#native.advance(hub, id, by))
  }

  /** Makes the cluster new: all that was stored is gone, everybody runs, the network is whole. */
  reset(): Promise<void> {
    return this.#actOnAll('reset')
  }

  /** Waits until all brokers that run are registered and all slaves are in sync. */
  ready(options?: TimedOptions): Promise<void> {
    return this.#actOnAll('ready', options)
  }

  /** Waits until every slave has what its master has now. */
  replicated(options?: TimedOptions): Promise<void> {
    return this.#actOnAll('replicated', options)
  }

  /** @internal */
  override atExit(): void {
    this.#native.killNow()
  }

  /** @internal */
  protected override closing(ms: number, options: CallOptions): Promise<void> {
    return call((id) => this.#native.actOnAll(hub, id, 'close', ms), options)
  }
}

/**
 * Starts a cluster in this process. When the promise is fulfilled every broker is registered and
 * every slave is in sync.
 */
export async function startCluster(options: ClusterOptions = {}): Promise<Cluster> {
  const startedAt = callerStack(startCluster)
  const given = keys(options)
  const inner = await call<NativeCluster>(
    (id) => native.startCluster(hub, id, given),
    options,
    (late) => void call((id) => late.actOnAll(hub, id, 'close', CLOSE_MS)).catch(() => {}),
  )
  return new Cluster(inner, startedAt)
}
