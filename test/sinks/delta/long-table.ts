import { mkdir, unlink, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { commitPath } from '../../../src/sinks/delta/protocol/actions.ts'
import { schemaString } from '../../../src/sinks/delta/protocol/schema.ts'
import type { StoredObject } from '../../../src/sinks/delta/storage/delta-storage.ts'
import { LocalDeltaStorage } from '../../../src/sinks/delta/storage/local.ts'
import { columns, type Workbench } from './support.ts'

/** A second for every version from here on, as the files' times. */
export const firstMs = Date.UTC(2026, 0, 1)

const protocol = '{"protocol":{"minReaderVersion":1,"minWriterVersion":2}}'
const metaData = JSON.stringify({
  metaData: {
    id: 'x',
    format: { provider: 'parquet', options: {} },
    schemaString: schemaString(columns),
    partitionColumns: ['event_date'],
    configuration: {},
  },
})

/** A log too long to be landed commit by commit: what each version holds is one offset of its own. */
export class LongTable {
  readonly storage: CountingStorage
  readonly #log: string

  private constructor(table: string) {
    this.storage = new CountingStorage(table)
    this.#log = join(table, '_delta_log')
  }

  /** Writes the versions `from` to `to`, and checkpoints; `_last_checkpoint` names the last of those. */
  static async of(
    bench: Workbench,
    { from = 0, to, checkpoints }: { from?: number; to: number; checkpoints: readonly number[] },
  ): Promise<LongTable> {
    const table = new LongTable(bench.table)
    await mkdir(table.#log, { recursive: true })
    for (let first = from; first <= to; first += 50) {
      const some = Array.from({ length: Math.min(50, to - first + 1) }, (_, index) => first + index)
      await Promise.all(some.map((version) => table.commit(version)))
    }
    for (const version of checkpoints) await table.checkpoint(version)
    return table
  }

  async commit(version: number): Promise<void> {
    const start = version === 0 ? `${protocol}\n${metaData}\n` : ''
    await this.#write(commitPath(version), version, `${start}{"txn":{"appId":"a","version":${version}}}`)
  }

  async checkpoint(version: number): Promise<void> {
    const lines = [protocol, metaData, `{"txn":{"appId":"a","version":${version}}}`]
    await this.#write(checkpointOf(version), version, lines.join('\n'))
    await this.hint(JSON.stringify({ version, size: 3 }))
  }

  async hint(text: string): Promise<void> {
    await writeFile(join(this.#log, '_last_checkpoint'), text)
  }

  async remove(...paths: readonly string[]): Promise<void> {
    for (const path of paths) await unlink(join(this.#log, '..', path))
  }

  async #write(path: string, version: number, text: string): Promise<void> {
    const file = join(this.#log, '..', path)
    await writeFile(file, text)
    const seconds = firstMs / 1000 + version
    await utimes(file, seconds, seconds)
  }
}

/** The path of a version's checkpoint. */
export function checkpointOf(version: number): string {
  const name = String(version).padStart(20, '0')
  return `_delta_log/${name}.checkpoint.80a083e8-7026-4e79-81be-64bd76c43a11.json`
}

/** A directory that notes what was listed of the log and what was read. */
export class CountingStorage extends LocalDeltaStorage {
  /** The prefixes that were listed, without their zeros; '' for the whole log. */
  listed: string[] = []
  readPaths: string[] = []
  /** Listings of the log with times, and the pages that were taken of them. */
  pagedCount = 0
  pageCount = 0
  /** Runs before each listing of the log, and after it, once per given function. */
  readonly beforeList: (() => Promise<void>)[] = []
  readonly afterList: (() => Promise<void>)[] = []

  override async list(folder: string, prefix = ''): Promise<string[]> {
    if (folder !== '_delta_log') return super.list(folder, prefix)
    this.listed.push(prefix === '' ? '' : String(Number(prefix)))
    await this.beforeList.shift()?.()
    const names = await super.list(folder, prefix)
    await this.afterList.shift()?.()
    return names
  }

  override async *pages(folder: string, prefix?: string): AsyncGenerator<readonly StoredObject[]> {
    const counted = folder === '_delta_log' ? 1 : 0
    this.pagedCount += counted
    for await (const page of super.pages(folder, prefix)) {
      this.pageCount += counted
      yield page
    }
  }

  override async read(path: string): Promise<Buffer | undefined> {
    this.readPaths.push(path)
    return super.read(path)
  }

  /** What was listed since the last call. */
  takeListed(): string[] {
    const { listed } = this
    this.listed = []
    this.readPaths = []
    return listed
  }
}
