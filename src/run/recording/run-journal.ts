import { appendFile, readdir, readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { z as Zod } from 'zod'
import { SerialQueue } from '../../offsets/serial-queue.ts'
import { makeDirectory, replaceFile } from '../../offsets/state-files.ts'
import { z } from '../../zod.ts'

/** A journal that has grown to this length takes no more records: its table has not been reached for a year or so. */
const maxJournalBytes = 64 * 1024 * 1024

/** A journal that has landed is kept this long, in milliseconds: another process may still write to it. */
const keptMs = 24 * 3_600_000

const journalName = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z-[0-9a-f-]+\.ndjson$/

const pendingSuffix = '.pending.json'

/** A record of a run or a batch. */
export type RunRecord = Readonly<Record<string, unknown>>

const pending = z.object({
  record: z.record(z.string(), z.unknown()),
  ranges: z.array(z.object({ blob: z.string(), generation: z.string(), start: z.number(), end: z.number() })),
})

/** The record of a batch whose commit had begun, and the ranges by which the table shows whether it took place. */
export type PendingBatch = Readonly<Zod.infer<typeof pending>>

/**
 * The records of one run, in `<state>/runs/<begin>-<run>.ndjson`: a file that only grows, and is landed as a blob.
 *
 * The record of a batch is in `<pipeline>.pending.json` from before its commit until it is in the journal. So the next
 * process finds the batch whose commit the former one did not survive.
 */
export class RunJournal {
  readonly directory: string
  readonly #name: string
  readonly #queue = new SerialQueue()
  #bytes = 0

  /** @param beganAtMs milliseconds since the epoch */
  constructor(stateDirectory: string, runId: string, beganAtMs: number) {
    this.directory = join(stateDirectory, 'runs')
    const instant = new Date(beganAtMs).toISOString().replace(/[-:]|\.\d+/g, '')
    this.#name = `${instant}-${runId}.ndjson`
  }

  /** Notes that the commit of a batch begins. */
  begin(pipeline: string, batch: PendingBatch): Promise<void> {
    return this.#queue.run(async () => {
      await makeDirectory(this.directory)
      await replaceFile(this.#pendingPath(pipeline), JSON.stringify(batch))
    })
  }

  /** Appends a record; that of a batch is no longer pending then. */
  append(record: RunRecord, pipeline?: string): Promise<void> {
    return this.#queue.run(async () => {
      const line = Buffer.from(`${JSON.stringify(record)}\n`)
      if (this.#bytes + line.length > maxJournalBytes) throw new Error('the journal of the run is full')
      await makeDirectory(this.directory)
      await appendFile(join(this.directory, this.#name), line)
      this.#bytes += line.length
      if (pipeline !== undefined) await rm(this.#pendingPath(pipeline), { force: true })
    })
  }

  /** @returns the batch of a pipeline whose commit had begun and that is in no journal */
  async pendingOf(pipeline: string): Promise<PendingBatch | undefined> {
    const text = await readFile(this.#pendingPath(pipeline), 'utf8').catch(() => undefined)
    const found = text === undefined ? undefined : pending.safeParse(JSON.parse(text)).data
    if (found === undefined) return undefined
    for (const name of await this.#names()) {
      // Between the two steps of `append`, a batch is in both.
      if ((await readFile(join(this.directory, name), 'utf8')).includes(String(found.record.batch_id))) {
        await this.forget(pipeline)
        return undefined
      }
    }
    return found
  }

  forget(pipeline: string): Promise<void> {
    return this.#queue.run(() => rm(this.#pendingPath(pipeline), { force: true }))
  }

  /** Removes old journals. @param hasLanded whether a journal has landed up to a length */
  async removeLanded(hasLanded: (name: string, bytes: number) => boolean, nowMs: number): Promise<void> {
    const files = await readdir(this.directory)
    if (files.some((file) => file.endsWith(pendingSuffix))) return
    for (const name of files.filter((file) => journalName.test(file) && file !== this.#name)) {
      const { size, mtimeMs } = await stat(join(this.directory, name))
      if (nowMs - mtimeMs > keptMs && hasLanded(name, size)) await rm(join(this.directory, name))
    }
  }

  async #names(): Promise<readonly string[]> {
    return (await readdir(this.directory)).filter((file) => journalName.test(file))
  }

  #pendingPath(pipeline: string): string {
    return join(this.directory, `${pipeline}${pendingSuffix}`)
  }
}

/** @returns when the run of a journal began; undefined for any other file */
export function journalBeginning(name: string): Date | undefined {
  const [, ...parts] = journalName.exec(name) ?? []
  if (parts.length === 0) return undefined
  const [year, month, day, hour, minute, second] = parts.map(Number)
  return new Date(Date.UTC(year!, month! - 1, day, hour, minute, second))
}
