import type { ContainerClient } from '@azure/storage-blob'
import type { Clock } from '../clock.ts'
import { Deadline } from '../deadline.ts'

/** A client with the credential that was current when it was made. */
export interface OpenedContainer {
  readonly client: ContainerClient
  /** From when on another one should be used; undefined for a credential that does not end, or ends for good. */
  readonly renewAtMs?: number | undefined
}

export interface ContainerConnectionOptions {
  readonly container: string
  /** The account for logs and metrics; no secret. */
  readonly account: string
  /** @param fresh the credential that was handed out before is refused, or about to end */
  readonly open: (fresh: boolean) => Promise<OpenedContainer>
  /** A fresh credential can be another one. A key, or a SAS given as text, cannot. */
  readonly renewable: boolean
  readonly clock: Clock
}

/** The least pause between two renewals that refusals ask for, in milliseconds: a denied account is not hammered. */
const renewEveryMs = 60_000

/** How long a credential may be waited for, in milliseconds. */
const openMs = 30_000

/** The way into one container: hands out a client, and a fresh one when storage refuses the credential. */
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

  /** The way of a client that someone else made: its credential is its own matter. */
  static of(client: ContainerClient, clock: Clock): ContainerConnection {
    return new ContainerConnection({
      container: client.containerName,
      account: new URL(client.url).host,
      open: async () => ({ client }),
      renewable: false,
      clock,
    })
  }

  /** The current client. Requests that come at the same time share what has to be waited for. */
  async current(): Promise<OpenedContainer> {
    const opened = this.#opened
    if (opened === undefined) return this.#open(false)
    if (opened.renewAtMs === undefined || this.#options.clock.now() < opened.renewAtMs) return opened
    try {
      return await this.#open(true)
    } catch {
      // It is still good; if it ends before the next try, storage says so.
      this.#opened = { ...opened, renewAtMs: this.#options.clock.now() + openMs }
      return this.#opened
    }
  }

  /**
   * A client with a fresh credential, once storage has refused that of `refused`.
   *
   * @returns undefined when there is no other credential, or one was tried less than a minute ago
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
    // What is asked for a credential may be a function of the config's own, which nothing else bounds.
    const deadline = new Deadline(this.#options.clock, 'credential', openMs)
    try {
      this.#opened = await deadline.race(this.#options.open(fresh))
      return this.#opened
    } finally {
      deadline.clear()
    }
  }
}
