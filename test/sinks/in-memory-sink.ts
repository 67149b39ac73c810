import { tmpdir } from 'node:os'
import { z } from 'zod'
import { LandedOffsets } from '../../src/offsets/landed-offsets.ts'
import { requireOffsets } from '../../src/sinks/commit-fence.ts'
import { EmbeddedEngine, parquetSql, sqlIdentifier, sqlString } from '../../src/sinks/encoding/engine.ts'
import { LandedRows } from '../../src/sinks/landed-rows.ts'
import type { Sink, SinkOptions, TableOf } from '../../src/sinks/sink.ts'
import type { EncodedBatch, TableCommitter } from '../../src/sinks/table-committer.ts'
import { engineTypes } from '../../src/tables/engine-types.ts'
import type { Column } from '../../src/tables/table.ts'

interface InMemoryOptions extends SinkOptions {
  readonly kind: 'in-memory'
}

/** A table of a DuckDB database in memory. */
interface InMemoryTable {
  readonly name: string
  readonly offsets: LandedOffsets
  version: number
}

/** @returns a kind of sink whose tables live as long as the process; an example of the whole port */
export async function inMemorySink(): Promise<Sink<InMemoryOptions> & { close(): Promise<void> }> {
  const engine = await EmbeddedEngine.open({ temporaryDirectory: tmpdir() })
  const tables = new Map<string, InMemoryTable>()
  const nameOf = ({ table }: TableOf): string => Object.values(table.name).join('.')

  const create = async (name: string, columns: readonly Column[]): Promise<InMemoryTable> => {
    const known = tables.get(name)
    if (known !== undefined) return known
    await engine.run(createSql(name, columns))
    const table = { name, offsets: new LandedOffsets(), version: 0 }
    tables.set(name, table)
    return table
  }

  return {
    kind: 'in-memory',
    options: z.strictObject({ kind: z.literal('in-memory') }),
    batchDefaults: () => ({ maxBytes: 1024 * 1024, maxAgeMs: 1_000 }),
    resolvePaths: (options) => options,
    nameMistake: () => undefined,
    tableId: nameOf,
    offsetsTable: nameOf,

    async open({ target }) {
      const table = await create(nameOf(target), target.table.columns)
      return { committer: committerOf(engine, table), encodedFiles: 'whole', directories: [] }
    },

    async inspect({ target }) {
      const table = tables.get(nameOf(target))
      return {
        generations: async () => [...(table?.offsets ?? [])].filter(({ blob }) => target.landsBlob(blob)),
        rows: async () => table && rowsOf(engine, table),
        check: async () => [table === undefined ? 'no table yet: a run creates it' : 'the table is there'],
        close: async () => {},
      }
    },

    async createTable({ target }) {
      const { name } = await create(nameOf(target), target.table.columns)
      return `table ${name} is in memory`
    },

    createTableSql: (target) => createSql(nameOf(target), target.table.columns),

    units: () => ({ because: 'is in memory, where no other process can store rows' }),

    query: {
      engineOf: () => 'memory',
      dialect: 'duckdb',
      relationOf: (target) => sqlIdentifier(nameOf(target)),
      run: async (_targets, { sql, take }) => engine.rolledBack(() => engine.stream(sql, take)),
    },
    history: { because: 'is in memory, which keeps no history' },
    maintenance: { because: 'is in memory, which has no files' },
    setup: { because: 'is in memory' },
    close: () => engine.close(),
  }
}

function createSql(name: string, columns: readonly Column[]): string {
  const list = columns.map((column) => `${sqlIdentifier(column.name)} ${engineTypes[column.type]}`)
  return `CREATE TABLE ${sqlIdentifier(name)} (${list.join(', ')})`
}

function committerOf(engine: EmbeddedEngine, table: InMemoryTable): TableCommitter {
  const relation = sqlIdentifier(table.name)
  const insert = async ({ files }: EncodedBatch): Promise<void> => {
    if (files.length === 0) return
    await engine.run(`INSERT INTO ${relation} BY NAME FROM ${parquetSql(files.map(({ path }) => path))}`)
  }
  return {
    location: `memory:${table.name}`,
    get tableVersion() {
      return table.version
    },
    open: async () => {},
    landed: () => table.offsets,
    async land(spans, encoded) {
      requireOffsets(spans, (source) => table.offsets.get(source))
      await insert(encoded)
      for (const { blob, generation, end } of spans) table.offsets.set({ blob, generation, offset: end })
      table.version += 1
      return { tableVersion: table.version }
    },
    async replace({ blob, generation, start, end }, encoded) {
      const removed = await engine.rows(`DELETE FROM ${relation} WHERE source_blob = ${sqlString(blob)}
        AND source_generation = ${sqlString(generation)} AND source_offset >= ${start} AND source_offset < ${end}
        RETURNING source_offset`)
      for (const batch of encoded) await insert(batch)
      table.version += 1
      return { tableVersion: table.version, removedRows: removed.length }
    },
    releaseCaches: async () => {},
    close: async () => {},
  }
}

function rowsOf(engine: EmbeddedEngine, { name }: InMemoryTable): LandedRows {
  return new LandedRows({
    relation: sqlIdentifier(name),
    ends: (generations) => {
      const values = generations.map(
        ({ blob, generation, offset }, id) =>
          `(${id}, ${sqlString(blob)}, ${sqlString(generation)}, ${offset})`,
      )
      return { sql: `(VALUES ${values.join(', ')}) AS given(id, blob, generation, end_offset)` }
    },
    query: (sql) => engine.rows(sql),
    stream: (sql, take) => engine.rolledBack(() => engine.stream(sql, take)),
  })
}
