import type { ContainerClient } from '@azure/storage-blob'
import { type Clock, Deadline } from '../clock.ts'

/** A client with the credential that was current when it was created. */
export interface OpenedContainer {
  readonly client: ContainerClient
  /** Time from which a new client should be opened; undefined for a credential that cannot be renewed or does not expire. */
  readonly renewAtMs?: number | undefined
}

export interface ContainerConnectionOptions {
  readonly container: string
  /** The account's host, for logs and metrics; not a secret. */
  readonly account: string
  /** @param fresh true when the previous credential was refused or is about to expire */
  readonly open: (fresh: boolean) => Promise<OpenedContainer>
  /** Whether `open` can return another credential. False for a key, and for a SAS given as text. */
  readonly renewable: boolean
  readonly clock: Clock
}

/** Minimum time between two renewals after refusals, in milliseconds: limits the requests of a denied account. */
const renewEveryMs = 60_000

/** Limit for obtaining a credential, in milliseconds. */
const openMs = 30_000

/** The connection to one container: provides a client, and a new one when storage refuses its credential. */
export class ContainerConnection {
  readonly container: string
  readonly account: string
  #options: ContainerConnectionOptions
  #opened: OpenedContainer | undefined
  #opening: Promise<OpenedContainer> | undefined
  #renewNotBeforeMs = Number.NEGATIVE_INFINITY

  constructor(options: ContainerConnectionOptions) {
    this.#options = options
    this.container = options.container
    this.account = options.account
  }

  /** @returns a connection that always provides the given client, and never renews its credential */
  static of(client: ContainerClient, clock: Clock): ContainerConnection {
    return new ContainerConnection({
      container: client.containerName,
      account: new URL(client.url).host,
      open: async () => ({ client }),
      renewable: false,
      clock,
    })
  }

  /** @returns the current client; concurrent calls share one `open` */
  async current(): Promise<OpenedContainer> {
    const opened = this.#opened
    if (opened === undefined) return this.#open(false)
    if (opened.renewAtMs === undefined || this.#options.clock.now() < opened.renewAtMs) return opened
    try {
      return await this.#open(true)
    } catch {
      // The old credential may still be valid. If it expires before the next attempt, storage refuses it.
      this.#opened = { ...opened, renewAtMs: this.#options.clock.now() + openMs }
      return this.#opened
    }
  }

  /**
   * Opens a client with a new credential after storage has refused that of the given client.
   *
   * @returns undefined when the credential cannot be renewed, or was renewed less than a minute ago
   */
  async renewed({ client }: OpenedContainer): Promise<OpenedContainer | undefined> {
    if (this.#opening !== undefined) return this.#opening
    if (this.#opened !== undefined && this.#opened.client !== client) return this.#opened
    const { renewable, clock } = this.#options
    if (!renewable || clock.now() < this.#renewNotBeforeMs) return undefined
    this.#renewNotBeforeMs = clock.now() + renewEveryMs
    return this.#open(true)
  }

  #open(fresh: boolean): Promise<OpenedContainer> {
    this.#opening ??= this.#openInTime(fresh).finally(() => {
      this.#opening = undefined
    })
    return this.#opening
  }

  async #openInTime(fresh: boolean): Promise<OpenedContainer> {
    // The credential may come from a function of the config, which has no time limit of its own.
    const deadline = new Deadline(this.#options.clock, 'credential', openMs)
    try {
      this.#opened = await deadline.race(this.#options.open(fresh))
      return this.#opened
    } finally {
      deadline.clear()
    }
  }
}
