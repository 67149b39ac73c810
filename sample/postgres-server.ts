import { type ChildProcess, spawn } from 'node:child_process'
import { appendFile, chown, mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { PostgresInstallation } from './find-postgres.ts'
import { runProgram } from './run-program.ts'
import type { ServerAccount } from './server-account.ts'

const readyLimitMs = 60_000
const readyPollMs = 50
const fastStopLimitMs = 20_000
const immediateStopLimitMs = 5_000
const defaultProgramLimitMs = 120_000
const pgbenchLimitMs = 1_800_000

/** Room for a socket's path in `sockaddr_un` on Linux, minus its closing zero; 103 elsewhere. */
const maxSocketPathBytes = process.platform === 'linux' ? 107 : 103

/** Members of this role must prove a password over TCP; everybody else is trusted on the loopback. */
export const passwordRole = 'password_required'

const hostRules = `\
local all all trust
local replication all trust
host all +${passwordRole} 127.0.0.1/32 scram-sha-256
host all all 127.0.0.1/32 trust
host replication all 127.0.0.1/32 trust
`

/** Who connects, and how. */
export interface ConnectOptions {
  /** Default `postgres`. */
  readonly database?: string
  /** Default `postgres`, the superuser. */
  readonly user?: string
  readonly password?: string
  /** `socket` makes the server log `[local]`. Default `tcp`. */
  readonly over?: 'tcp' | 'socket'
  /** Default: the name of the program. */
  readonly applicationName?: string
}

/** How `psql` runs a script. */
export interface PsqlOptions extends ConnectOptions {
  /** `continue` runs the rest of the script after an error, and never rejects. Default `throw`. */
  readonly onError?: 'throw' | 'continue'
}

/** What `pgbench` runs. */
export interface PgbenchOptions extends ConnectOptions {
  /** A script in pgbench's own language, instead of a built-in one. */
  readonly script?: string
}

/** One PostgreSQL server on the loopback that writes all it logs to one jsonlog file. */
export class PostgresServer {
  readonly #installation: PostgresInstallation
  readonly #account: ServerAccount | undefined
  readonly #home: string
  readonly #killAtExit = () => void this.#child?.kill('SIGQUIT')
  #child: ChildProcess | undefined
  readonly port: number

  /** `home` is this server's own folder: data, logs and socket are below it. */
  constructor(
    installation: PostgresInstallation,
    account: ServerAccount | undefined,
    home: string,
    port: number,
  ) {
    this.#installation = installation
    this.#account = account
    this.#home = home
    this.port = port
    if (Buffer.byteLength(join(home, `.s.PGSQL.${port}`)) > maxSocketPathBytes) {
      throw new Error(`the path ${home} is too long for a Unix socket; choose a shorter directory`)
    }
  }

  /** Holds the jsonlog file and, beside it, what reached the raw standard error. */
  get logDirectory(): string {
    return join(this.#home, 'log')
  }

  /** The one file this server logs to. It never rotates and stays after the server has stopped. */
  get jsonlogPath(): string {
    return join(this.logDirectory, 'postgresql.json')
  }

  /** Makes the folder and a new, empty cluster in it. */
  async initialize(): Promise<void> {
    await this.#makeHome()
    await this.#run('initdb', [
      ...['--pgdata', this.#dataDirectory, '--username', 'postgres', '--auth', 'trust'],
      // English messages and UTF-8 text, independent of the machine's locale.
      ...['--encoding', 'UTF8', '--locale', 'C', '--no-sync'],
    ])
    await writeFile(join(this.#dataDirectory, 'pg_hba.conf'), hostRules)
  }

  /** Makes the folder and a copy of a running `primary` in it, set to stream from it. */
  async initializeFrom(primary: PostgresServer): Promise<void> {
    await this.#makeHome()
    await this.#run('pg_basebackup', [
      ...['--pgdata', this.#dataDirectory, '--host', '127.0.0.1', '--port', String(primary.port)],
      ...['--username', 'postgres', '--checkpoint', 'fast', '--wal-method', 'stream', '--no-sync'],
      // The slot keeps the primary from recycling WAL that a stopped replica has not read yet.
      ...['--write-recovery-conf', '--create-slot', '--slot', 'replica'],
    ])
  }

  /** Adds settings to `postgresql.conf`; the last one of a name wins, so a replica overrides its copy. */
  async configure(settings: Readonly<Record<string, string>>): Promise<void> {
    const lines = Object.entries(settings).map(
      ([name, value]) => `${name} = '${value.replaceAll("'", "''")}'\n`,
    )
    await appendFile(join(this.#dataDirectory, 'postgresql.conf'), lines.join(''))
  }

  /** Starts the server and waits until it is ready. */
  async start(): Promise<void> {
    // Relative paths are resolved by the server from its data directory and logged as they are
    // written here: so no log tells where it was recorded.
    const child = spawn(
      join(this.#installation.bindir, 'postgres'),
      ['-D', this.#dataDirectory, '-p', String(this.port), '-c', 'unix_socket_directories=..'],
      { ...this.#account, cwd: this.#home, env: environment, stdio: ['ignore', 'ignore', 'pipe'] },
    )
    this.#child = child
    process.once('exit', this.#killAtExit)
    let lastWords = ''
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      lastWords = (lastWords + chunk).slice(-2000)
    })
    child.once('error', (error) => {
      lastWords += error.message
    })
    try {
      await this.waitUntilReady()
    } catch (cause) {
      throw new Error(`the server did not start: ${lastWords.trim()}`, { cause })
    }
  }

  /** Waits until the running server accepts connections, at most a minute. */
  async waitUntilReady(): Promise<void> {
    const deadline = Date.now() + readyLimitMs
    while (!(await this.#isReady())) {
      if (!this.#child || hasEnded(this.#child)) throw new Error('the server is not running')
      if (Date.now() > deadline) throw new Error(`the server was not ready after ${readyLimitMs} ms`)
      await delay(readyPollMs)
    }
  }

  /** Stops the server: fast, immediately when that takes too long. Its log is complete afterwards. */
  async stop(): Promise<void> {
    const child = this.#child
    if (!child) return
    for (const [signal, limitMs] of [
      ['SIGINT', fastStopLimitMs],
      ['SIGQUIT', immediateStopLimitMs],
      ['SIGKILL', immediateStopLimitMs],
    ] as const) {
      if (await hasClosed(child, signal, limitMs)) break
    }
    process.removeListener('exit', this.#killAtExit)
    this.#child = undefined
  }

  /** Removes the data of a stopped server; its logs stay. */
  async removeData(): Promise<void> {
    await rm(this.#dataDirectory, { recursive: true, force: true })
  }

  /** Runs a script in `psql`, one statement at a time, and returns the bare values it printed. */
  async psql(script: string | Buffer, options: PsqlOptions = {}): Promise<string> {
    const stopOnError = options.onError === 'continue' ? '0' : '1'
    const args = [
      '--no-psqlrc',
      '--quiet',
      '--no-align',
      '--tuples-only',
      '--set',
      `ON_ERROR_STOP=${stopOnError}`,
    ]
    const run = this.#run('psql', args, { ...options, input: script })
    // A refused or broken connection makes psql fail with or without ON_ERROR_STOP.
    return options.onError === 'continue' ? run.catch(() => '') : run
  }

  /** Runs `pgbench` with these arguments to its end and returns its report. */
  pgbench(args: readonly string[], { script, ...options }: PgbenchOptions = {}): Promise<string> {
    if (script === undefined) return this.#run('pgbench', args, { ...options, limitMs: pgbenchLimitMs })
    // Given on standard input, as the server's account need not be able to read this folder.
    const withScript = ['--file', '-', '--no-vacuum', ...args]
    return this.#run('pgbench', withScript, { ...options, limitMs: pgbenchLimitMs, input: script })
  }

  get #dataDirectory(): string {
    return join(this.#home, 'data')
  }

  async #makeHome(): Promise<void> {
    await mkdir(this.#home, { recursive: true })
    if (this.#account) await chown(this.#home, this.#account.uid, this.#account.gid)
  }

  async #isReady(): Promise<boolean> {
    return this.#run('pg_isready', ['--quiet']).then(
      () => true,
      () => false,
    )
  }

  #run(
    program: string,
    args: readonly string[],
    options: ConnectOptions & { input?: string | Buffer; limitMs?: number } = {},
  ): Promise<string> {
    return runProgram(join(this.#installation.bindir, program), args, {
      ...this.#account,
      cwd: this.#home,
      env: {
        ...environment,
        PGHOST: options.over === 'socket' ? this.#home : '127.0.0.1',
        PGPORT: String(this.port),
        PGUSER: options.user ?? 'postgres',
        PGDATABASE: options.database ?? 'postgres',
        PGAPPNAME: options.applicationName ?? program,
        ...(options.password === undefined ? {} : { PGPASSWORD: options.password }),
      },
      limitMs: options.limitMs ?? defaultProgramLimitMs,
      ...(options.input === undefined ? {} : { input: options.input }),
    })
  }
}

/** The whole environment: a developer's own `PG*` variables must not redirect a program. */
const environment = { PATH: process.env.PATH ?? '', LC_ALL: 'C', TZ: 'UTC', PGCLIENTENCODING: 'UTF8' }

function hasEnded(child: ChildProcess): boolean {
  return child.pid === undefined || child.exitCode !== null || child.signalCode !== null
}

/**
 * Signals the server and waits for its end. `close` comes after `exit`: the log collector outlives the
 * server by an instant and holds its standard error, so only then is the log file complete.
 */
async function hasClosed(child: ChildProcess, signal: NodeJS.Signals, limitMs: number): Promise<boolean> {
  if (child.pid === undefined || child.stderr?.closed) return true
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), limitMs)
    child.once('close', () => {
      clearTimeout(timer)
      resolve(true)
    })
    child.kill(signal)
  })
}
