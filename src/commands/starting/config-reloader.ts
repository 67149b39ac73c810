import type { ConfigChanges } from '../../config/config-changes.ts'
import type { ResolvedConfig } from '../../config/resolved.ts'
import type { Logger, LogLevel } from '../../reporting/logger.ts'
import type { ConfigSource } from '../command.ts'

/** The part of `Tailrace` that a reload uses. */
interface ReloadableRun {
  reload(config: ResolvedConfig): Promise<ConfigChanges | undefined>
  setLogLevel(level: LogLevel): void
}

/** Loads the config of a running process again, one load at a time. */
export class ConfigReloader {
  readonly #source: ConfigSource
  readonly #log: Logger
  #run: ReloadableRun | undefined
  /** The cause of the next load. Several requests during a load become one. */
  #requested: string | undefined
  #isBusy = false

  constructor(source: ConfigSource, logger: Logger) {
    this.#source = source
    this.#log = logger
  }

  /** Begins to serve requests; earlier ones have waited for it. */
  begin(run: ReloadableRun): void {
    this.#run = run
    void this.#serve(run)
  }

  /** @param cause for the log */
  request(cause: string): void {
    this.#requested = cause
    if (this.#run !== undefined) void this.#serve(this.#run)
  }

  async #serve(run: ReloadableRun): Promise<void> {
    if (this.#isBusy) return
    this.#isBusy = true
    while (this.#requested !== undefined) {
      this.#log.info({ cause: this.#requested }, 'loading the config again')
      this.#requested = undefined
      await this.#reload(run).catch((error: unknown) =>
        this.#log.error({ err: error }, 'the new config is refused: the former one goes on'),
      )
    }
    this.#isBusy = false
  }

  async #reload(run: ReloadableRun): Promise<void> {
    const config = await this.#source.load()
    const changes = await run.reload(config)
    if (changes === undefined) return
    const { needRestart, ...pipelines } = changes
    run.setLogLevel(this.#source.levelOf(config))
    this.#log.info(pipelines, 'the new config is in use')
    if (needRestart.length > 0)
      this.#log.warn({ options: needRestart }, 'these options of it need a restart of the process')
  }
}
