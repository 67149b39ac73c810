import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { createServer, type Server, type Socket } from 'node:net'
import { fileURLToPath } from 'node:url'
import { isTailraceError } from '../../errors.ts'
import { isBundled, ownModule } from '../../package.ts'
import { maxConnections, pageUnavailable, pageUrl, requireToken } from '../../page/page-address.ts'
import type { Logger } from '../../reporting/logger.ts'
import type { CommandContext } from '../command.ts'

/** Ports that are tried after the one of the config, when others use it. */
const nextPorts = 9

/** Limit of the JavaScript heap of the page's process, in MiB. */
const heapMiB = 384

/** The flags of the run that the page's process needs, too. */
export interface PageProcessFlags {
  readonly config: string
  readonly pipeline?: string | undefined
  readonly shard?: string | undefined
}

/**
 * Accepts the connections of the page for a process of its own, which is started by the first one: a run whose page nobody
 * opens pays for a listening socket only.
 */
export class PageDoor {
  /** The address of the page for a browser on this machine. */
  readonly url: string
  readonly #server: Server
  readonly #start: () => ChildProcess
  readonly #log: Logger
  #child: ChildProcess | undefined

  private constructor(url: string, server: Server, start: () => ChildProcess, logger: Logger) {
    this.url = url
    this.#server = server
    this.#start = start
    this.#log = logger
    server.on('connection', (socket) => this.#pass(socket))
    server.on('error', (error) => logger.warn({ err: error }, 'the page did not accept a connection'))
  }

  /**
   * Listens where the config says, or at one of the next ports.
   *
   * @returns undefined where the config wants no page, and where it cannot be served, which is logged
   */
  static async open(
    { config, source, logger }: CommandContext,
    pipeline: string | undefined,
  ): Promise<PageDoor | undefined> {
    if (config.page === false || source === undefined) return undefined
    const { host, port } = config.page
    const server = createServer({ pauseOnConnect: true })
    // Counts those that wait to be passed on; the page's process counts those that it has.
    server.maxConnections = maxConnections
    try {
      requireToken(config.page)
      const used = await listen(server, host, port)
      const url = pageUrl(host, used)
      if (used === port || port === 0) logger.info({ url }, `the page is at ${url}`)
      else logger.warn({ url, port }, `port ${port} is in use: the page is at ${url}`)
      const { shard } = config
      const flags = { config: source.path, pipeline, shard: shard && `${shard.index}/${shard.count}` }
      const start = () => startProcess(flags)
      return new PageDoor(url, server.unref(), start, logger)
    } catch (error) {
      if (!isTailraceError(error)) throw error
      logger.warn({ err: error }, 'the page is not served')
      return undefined
    }
  }

  /** Ends the page; connections are cut off. */
  close(): void {
    this.#server.close()
    const child = this.#child
    this.#child = undefined
    if (child?.connected === true) child.disconnect()
  }

  #pass(socket: Socket): void {
    socket.on('error', () => {})
    const child = this.#child ?? this.#open()
    child.send('connection', socket, {}, (error) => {
      if (error !== null) socket.destroy()
    })
  }

  #open(): ChildProcess {
    const child = this.#start()
    this.#child = child
    const forget = (): void => {
      if (this.#child === child) this.#child = undefined
    }
    child.on('message', (message) => {
      if (message !== 'idle') return
      forget()
      if (child.connected) child.disconnect()
    })
    child.once('error', (error) => {
      forget()
      this.#log.warn({ err: error }, "the page's process failed")
    })
    child.once('exit', (code, signal) => {
      if (this.#child === child)
        this.#log.warn({ code, signal }, "the page's process ended: the next look starts it again")
      forget()
    })
    return child
  }
}

/** @returns the port in use. @throws PAGE_UNAVAILABLE */
async function listen(server: Server, host: string, port: number): Promise<number> {
  for (let next = port; ; next += 1) {
    try {
      await once(server.listen(next, host), 'listening')
      return (server.address() as AddressInfo).port
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === 'EADDRINUSE' && port !== 0 && next - port < nextPorts && next < 65_535) continue
      throw pageUnavailable(next, host, error)
    }
  }
}

function startProcess(flags: PageProcessFlags): ChildProcess {
  const module = fileURLToPath(ownModule('commands/paging/page-process'))
  const loader = isBundled ? [] : ['--import', import.meta.resolve('tsx')]
  const child = fork(module, [JSON.stringify(flags)], {
    execArgv: [...loader, `--max-old-space-size=${heapMiB}`],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  // Neither the process nor its channel keeps a run alive that is done.
  child.unref()
  child.channel?.unref()
  return child
}
