import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { skipUnless } from '../../support/skip-unless.ts'

const run = promisify(execFile)

/** A Python interpreter that has the package `pyspark`, with Delta's libraries among Spark's. */
const python = process.env.TAILRACE_INTEROP_SPARK

/** Environment of a Spark job of a few seconds, which ends before compiled code pays. */
export const shortJob = { JAVA_TOOL_OPTIONS: '-XX:TieredStopAtLevel=1 -XX:+UseSerialGC' }

/** How much of what Spark last said on stderr is told when it ends, in characters. */
const maxLastWords = 4_000

/** Why Spark cannot be asked here, or false. */
async function sparkMissing(): Promise<string | false> {
  if (!python) return 'TAILRACE_INTEROP_SPARK names no interpreter'
  const look =
    'import glob, os, pyspark; assert glob.glob(os.path.dirname(pyspark.__file__) + "/jars/delta-spark_*")'
  try {
    await run(python, ['-c', look])
  } catch {
    return `${python} has no pyspark with the libraries of Delta`
  }
  try {
    await run(join(process.env.JAVA_HOME ?? '', process.env.JAVA_HOME ? 'bin/java' : 'java'), ['-version'])
    return false
  } catch {
    return 'Spark needs Java, and there is none'
  }
}

/** Options of a test that asks Spark: on a busy machine, a few statements take minutes. */
export const sparkTest = { skip: skipUnless(await sparkMissing()), timeout: 900_000 }

/** A row of a result, every value as text. */
export type SparkRow = readonly (string | null)[]

interface Answer {
  readonly rows: SparkRow[]
  readonly files: number | null
}

interface Request {
  readonly sql?: string
  readonly rows?: string
  readonly files?: true
  readonly forget?: true
}

/**
 * Spark with Delta's own implementation, one statement at a time.
 *
 * Its process starts with the first statement, which takes longer than most tests: those of a file share one, and
 * close it when they are over.
 */
export class Spark {
  #process: ChildProcess | undefined
  #answers: AsyncIterator<string> | undefined
  #warehouse: string | undefined
  #lastWords = ''

  /** Runs one statement and returns its rows. */
  async sql(sql: string): Promise<SparkRow[]> {
    return (await this.#ask({ sql })).rows
  }

  /** Runs one query and says, beside its rows, how many data files were left to read after skipping. */
  async scan(sql: string): Promise<{ readonly rows: SparkRow[]; readonly files: number }> {
    const { rows, files } = await this.#ask({ sql, files: true })
    return { rows, files: files! }
  }

  /** Runs one query and writes its rows as Parquet into a directory that must not exist. */
  async write(sql: string, directory: string): Promise<void> {
    await this.#ask({ sql, rows: directory })
  }

  /** Makes the next statements read the tables' logs from the beginning, as after a start. */
  async forget(): Promise<void> {
    await this.#ask({ forget: true })
  }

  /** Ends the process, if there is one. */
  close(): void {
    this.#process?.kill()
    if (this.#warehouse !== undefined) rmSync(this.#warehouse, { recursive: true, force: true })
  }

  async #ask(request: Request): Promise<Answer> {
    setTimeout(() => 0, 0)
    if (this.#process === undefined) this.#start()
    this.#process!.stdin!.write(`${JSON.stringify(request)}\n`)
    const { value, done } = await this.#answers!.next()
    if (done) throw new Error(`Spark is gone. It said last: ${this.#lastWords}`)
    const answer = JSON.parse(value) as Answer | { readonly error: string }
    if ('error' in answer) throw new Error(answer.error)
    return answer
  }

  #start(): void {
    this.#warehouse = mkdtempSync(join(tmpdir(), 'tailrace-spark-'))
    const child = spawn(python!, [join(import.meta.dirname, 'server.py'), this.#warehouse], {
      stdio: ['pipe', 'pipe', 'pipe'],
      cwd: this.#warehouse,
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#lastWords = (this.#lastWords + text).slice(-maxLastWords)
    })
    // A process that is gone is noticed by its missing answer.
    child.stdin.on('error', () => {})
    this.#process = child
    this.#answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  }
}
