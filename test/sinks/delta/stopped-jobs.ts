import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { TestContext } from 'node:test'
import { LocalDeltaStorage } from '../../../src/sinks/delta/storage/local.ts'
import { builtScript } from '../../support/built-script.ts'
import { containerName } from '../../support/storage.ts'
import type { Answer, Order } from './dying-process.ts'
import { placeInAzure, sharedStorage } from './on-each-storage.ts'
import { placeLocally, type Workbench } from './support.ts'
import type { Job } from './table-jobs.ts'

const script = join(import.meta.dirname, 'dying-process.ts')

/** A job and the table that it is done on. */
export interface JobOnTable {
  readonly job: Job
  /** Makes the table as it is before. Default: there is none. */
  readonly prepare?: (bench: Workbench) => Promise<void>
  /** Whether a directory is as if on another volume than what is moved into it. Default false. */
  readonly isVolume?: boolean
}

/** A job that was done once to its end, and was killed after each number of its changes. */
export interface StoppedJob<J extends JobOnTable> {
  readonly job: J
  readonly before: Workbench
  readonly after: Workbench
  /** What it did to the table, in order. */
  readonly changes: readonly string[]
  /** Tables by the number of changes that were made to them: none first, and all of them last. */
  readonly dead: readonly Workbench[]
}

/** Has a process stop in each of these jobs after every number of changes, and kills it. */
export async function killEverywhere<J extends JobOnTable>(
  t: TestContext,
  bench: Workbench,
  jobs: readonly J[],
): Promise<readonly StoppedJob<J>[]> {
  const child = await DyingProcess.start(t, bench)
  const stopped: StoppedJob<J>[] = []
  for (const job of jobs) stopped.push(await stopEverywhere(job, child, bench))
  await child.die()
  return stopped
}

async function stopEverywhere<J extends JobOnTable>(
  job: J,
  child: DyingProcess,
  bench: Workbench,
): Promise<StoppedJob<J>> {
  const before = await anotherTable(bench)
  await job.prepare?.(before)
  const objects = job.prepare === undefined ? new Map<string, Buffer>() : await objectsOf(before)
  const after = await anotherTable(bench, objects)
  const { changes, ended } = await child.obey(after, job)
  assert.ok(ended)

  const dead: Workbench[] = []
  for (let count = 0; count <= changes.length; count += 1) {
    const one = await anotherTable(bench, objects)
    const answer = await child.obey(one, job, count)
    assert.deepEqual(answer, { changes: changes.slice(0, count), ended: false })
    dead.push(one)
  }
  return { job, before, after, changes, dead }
}

/** A table of its own beside the one of the bench, with the same engine. */
async function anotherTable(
  bench: Workbench,
  objects: ReadonlyMap<string, Buffer> = new Map(),
): Promise<Workbench> {
  const directory = await mkdtemp(join(bench.directory, 'table-'))
  const staging = join(directory, 'staging')
  await mkdir(staging)
  const isLocal = bench.storage instanceof LocalDeltaStorage
  const place = isLocal ? placeLocally : placeInAzure((await sharedStorage()).container)
  const other = { ...bench, directory, staging, ...place(directory) }
  for (const [path, bytes] of objects) {
    await writeFile(join(staging, 'copy'), bytes)
    await other.storage.putFile(join(staging, 'copy'), path)
  }
  return other
}

async function objectsOf({ storage, dataFiles }: Workbench): Promise<ReadonlyMap<string, Buffer>> {
  const log = (await storage.list('_delta_log')).map((name) => `_delta_log/${name}`)
  const objects = new Map<string, Buffer>()
  for (const path of [...log, ...(await dataFiles())]) objects.set(path, (await storage.read(path))!)
  return objects
}

/** `dying-process.ts`, seen from the process that kills it. */
class DyingProcess {
  readonly #child: ChildProcess
  readonly #answers: AsyncIterator<string>
  readonly #account: Order['account']

  private constructor(child: ChildProcess, account: Order['account']) {
    this.#child = child
    this.#answers = createInterface({ input: child.stdout! })[Symbol.asyncIterator]()
    this.#account = account
  }

  static async start(t: TestContext, { storage, directory }: Workbench): Promise<DyingProcess> {
    const child = spawn(process.execPath, [...builtScript(script), join(directory, 'spill')], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    t.after(() => child.kill('SIGKILL'))
    if (storage instanceof LocalDeltaStorage) return new DyingProcess(child, undefined)
    const { connectionString } = await sharedStorage()
    return new DyingProcess(child, { connectionString, container: containerName })
  }

  /** @param changes after how many of them the job stops; undefined for never */
  async obey(
    { table, staging }: Workbench,
    { job, isVolume = false }: JobOnTable,
    changes?: number,
  ): Promise<Answer> {
    const order: Order = {
      job,
      table,
      staging,
      isVolume,
      ...(this.#account && { account: this.#account }),
      ...(changes !== undefined && { changes }),
    }
    this.#child.stdin!.write(`${JSON.stringify(order)}\n`)
    const { value, done } = await this.#answers.next()
    assert.ok(done !== true, 'it ended by itself')
    return JSON.parse(value) as Answer
  }

  async die(): Promise<void> {
    const exited = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    assert.deepEqual(await exited, [null, 'SIGKILL'])
  }
}
