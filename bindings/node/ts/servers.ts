// Nameservers and brokers in this process.

import type { NativeBroker, NativeNameServer } from '../native'
import { type CallOptions, call, hub } from './calls'
import { type Config, keysOf } from './config'
import { CLOSE_MS, Handle } from './handle'
import { native } from './native'
import { callerStack } from './open'

/**
 * A nameserver in this process, on loopback and a free port unless the configuration says
 * otherwise.
 */
export class NameServer extends Handle {
  readonly #native: NativeNameServer

  private constructor(inner: NativeNameServer, startedAt: string) {
    super('NameServer', inner.address, startedAt)
    this.#native = inner
  }

  /** Starts one; it accepts requests when the promise is fulfilled. */
  static async start(config: Config = {}, options: CallOptions = {}): Promise<NameServer> {
    const startedAt = callerStack(NameServer.start)
    const keys = keysOf(config)
    const inner = await call<NativeNameServer>(
      (id) => native.startNameServer(hub, id, keys),
      options,
      (late) => void call((id) => late.close(hub, id, CLOSE_MS)).catch(() => {}),
    )
    return new NameServer(inner, startedAt)
  }

  /** Where it listens: `host:port`. */
  get address(): string {
    return this.#native.address
  }

  /** The port it listens on. */
  get port(): number {
    return portOf(this.address)
  }

  /** @internal */
  protected override closing(ms: number, options: CallOptions): Promise<void> {
    return call((id) => this.#native.close(hub, id, ms), options)
  }

  /** Stops it as a crash would. */
  kill(): Promise<void> {
    return this.end(() => call((id) => this.#native.kill(hub, id)))
  }
}

/** Where a broker stores and whom it registers with, besides Apache's keys. */
export interface BrokerOptions extends CallOptions {
  /**
   * Without a key `storePathRootDir`: whether to store in memory (below /dev/shm) rather than in a
   * temporary folder. Both are removed at the end.
   */
  inMemory?: boolean | undefined
}

/**
 * A broker in this process, on loopback and free ports and with small files unless the
 * configuration says otherwise. `namesrvAddr` is the nameserver it registers with.
 */
export class Broker extends Handle {
  readonly #native: NativeBroker

  private constructor(inner: NativeBroker, startedAt: string) {
    super('Broker', `${inner.name} ${inner.address}`, startedAt)
    this.#native = inner
  }

  /** Starts one; it accepts requests when the promise is fulfilled. */
  static async start(config: Config = {}, options: BrokerOptions = {}): Promise<Broker> {
    const startedAt = callerStack(Broker.start)
    const keys = keysOf(config)
    const inner = await call<NativeBroker>(
      (id) => native.startBroker(hub, id, keys, options.inMemory ?? false),
      options,
      (late) => void call((id) => late.close(hub, id, CLOSE_MS)).catch(() => {}),
    )
    return new Broker(inner, startedAt)
  }

  /** The address that clients are given: `host:port`. */
  get address(): string {
    return this.#native.address
  }

  /** The port it listens on. */
  get port(): number {
    return portOf(this.address)
  }

  /** Its name. */
  get name(): string {
    return this.#native.name
  }

  /** @internal */
  override atExit(): void {
    this.#native.killNow()
  }

  /** @internal */
  protected override closing(ms: number, options: CallOptions): Promise<void> {
    return call((id) => this.#native.close(hub, id, ms), options)
  }

  /**
   * Stops it as a crash would: what was acknowledged under SYNC_FLUSH is found again by the next
   * start on the same folder.
   */
  kill(): Promise<void> {
    return this.end(() => call((id) => this.#native.kill(hub, id)))
  }
}

function portOf(address: string): number {
  return Number(address.slice(address.lastIndexOf(':') + 1))
}
