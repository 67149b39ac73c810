import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface, type Interface } from 'node:readline'
import type { TestContext } from 'node:test'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** A Python interpreter that has the packages `pyspark` and `delta-spark`, with Delta's libraries in Spark's. */
const python = process.env.TAILRACE_INTEROP_SPARK

/** Why Spark cannot be asked here, or false: made to be a test's `skip`. */
export async function sparkMissing(): Promise<string | false> {
  if (!python) return 'TAILRACE_INTEROP_SPARK names no interpreter'
  try {
    await run(python, ['-c', 'import delta, pyspark'])
    await run('java', ['-version'])
    return false
  } catch {
    return `${python} has no pyspark and delta-spark, or there is no Java`
  }
}

type Answer = { readonly rows: (string | null)[][] } | { readonly error: string }

/** Spark with Delta's own implementation, in a process that ends with the test. */
export class Spark {
  readonly #process: ChildProcess
  readonly #answers: AsyncIterator<string>

  private constructor(child: ChildProcess, lines: Interface) {
    this.#process = child
    this.#answers = lines[Symbol.asyncIterator]()
  }

  /** @param warehouse a directory for what Spark keeps beside the tables */
  static start(t: TestContext, warehouse: string): Spark {
    const child = spawn(python!, [join(import.meta.dirname, 'server.py'), warehouse], {
      stdio: ['pipe', 'pipe', 'ignore'],
      cwd: warehouse,
    })
    t.after(() => child.kill())
    return new Spark(child, createInterface({ input: child.stdout! }))
  }

  /**
   * Runs one statement; one at a time.
   *
   * @param rows a directory that is made, where the result is written as Parquet instead of being returned
   */
  async sql(sql: string, rows?: string): Promise<(string | null)[][]> {
    this.#process.stdin!.write(`${JSON.stringify({ sql, rows })}\n`)
    const { value, done } = await this.#answers.next()
    if (done) throw new Error('Spark is gone.')
    const answer = JSON.parse(value) as Answer
    if ('error' in answer) throw new Error(answer.error)
    return answer.rows
  }
}
