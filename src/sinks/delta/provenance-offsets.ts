import type { LandedOffset } from '../../offsets/landed-offsets.ts'
import { generationKey } from '../../records.ts'
import { withDataFiles } from '../encoding/data-file-errors.ts'
import type { EmbeddedEngine } from '../encoding/engine.ts'
import { liveFile } from './files/live-files.ts'
import { type RowSource, readDeletedRows, withLiveRows } from './files/live-rows.ts'
import { schemaFields } from './protocol/schema.ts'
import type { DeltaStorage } from './storage/delta-storage.ts'
import type { DeltaTable } from './table.ts'

const placeColumns = {
  source_blob: 'VARCHAR',
  source_generation: 'VARCHAR',
  source_offset: 'BIGINT',
  source_length: 'BIGINT',
} as const

/**
 * Computes the landed offset of each blob generation from a table's rows: the end of the generation's last row.
 *
 * Blank lines after it may have been landed too; reading them again does no harm. Reads every live file, one at a time.
 * Rows deleted by a deletion vector do not count.
 */
export async function provenanceOffsets(
  table: DeltaTable,
  { storage, engine }: { readonly storage: DeltaStorage; readonly engine: EmbeddedEngine },
): Promise<LandedOffset[]> {
  const present = new Set(schemaFields(table.state.metaData).map(({ name }) => name))
  if (table.state.version === 0 || !Object.keys(placeColumns).every((name) => present.has(name))) return []
  const { files } = await table.refreshWithFiles()
  const ends = new Map<string, LandedOffset>()
  for (const add of files?.values() ?? []) {
    const live = liveFile(add)
    const deleted = (await readDeletedRows(storage, [live])).get(live.path)
    const file = await storage.localFile(live.path)
    try {
      for (const landed of await withDataFiles(() => endsIn(engine, { path: file.path, deleted }))) {
        const key = generationKey(landed)
        if (landed.offset > (ends.get(key)?.offset ?? -1)) ends.set(key, landed)
      }
    } finally {
      await file.release()
    }
  }
  // Appends do not need the list of files, and it would stay in memory for the whole run.
  table.state.dropFiles()
  return [...ends.values()]
}

async function endsIn(engine: EmbeddedEngine, source: RowSource): Promise<LandedOffset[]> {
  const empty = Object.entries(placeColumns).map(([name, type]) => `NULL::${type} AS ${name}`)
  // The empty branch is for files written before one of the columns was added.
  const rows = await withLiveRows(engine, [source], (relation) =>
    engine.rows(`SELECT source_blob, source_generation,
      max(source_offset + source_length) AS landed_to
    FROM (SELECT ${empty.join(', ')} WHERE false
      UNION ALL BY NAME FROM ${relation})
    WHERE source_blob IS NOT NULL AND source_generation IS NOT NULL
    GROUP BY ALL HAVING landed_to IS NOT NULL`),
  )
  return rows.map(({ source_blob, source_generation, landed_to }) => ({
    blob: String(source_blob),
    generation: String(source_generation),
    offset: Number(landed_to),
  }))
}
