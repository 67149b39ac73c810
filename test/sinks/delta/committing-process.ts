/** A process that lands one small batch after another until it is killed: `committing-process.ts TABLE STAGING BLOB COUNT`. */

import { mkdtemp } from 'node:fs/promises'
import { join } from 'node:path'
import { systemClock } from '../../../src/clock.ts'
import { DeltaCommitter } from '../../../src/sinks/delta/delta-committer.ts'
import { LocalDeltaStorage } from '../../../src/sinks/delta/local-delta-storage.ts'
import { EmbeddedEngine } from '../../../src/sinks/duckdb.ts'
import { columns, encode, span } from './support.ts'

async function main(table: string, stagingRoot: string, blob: string, count: number): Promise<void> {
  const staging = await mkdtemp(join(stagingRoot, 'process-'))
  const engine = await EmbeddedEngine.open({ threads: 1, temporaryDirectory: join(staging, 'spill') })
  const committer = new DeltaCommitter({
    pipeline: 'primary',
    storage: new LocalDeltaStorage(table),
    engine,
    columns,
    partitionColumns: ['event_date'],
    tableName: 'test',
    stagingDirectory: staging,
    clock: systemClock,
  })
  await committer.open()
  for (let landed = 0; landed < count; landed += 1) {
    const [known] = Array.from(committer.committed().values()).filter((offset) => offset.blob === blob)
    const start = known?.offset ?? 0
    const source = span(blob, start, start + 10)
    const { tableVersion } = await committer.land(
      [source],
      await encode({ staging, engine }, source, [{ offset: start, seed: start }]),
    )
    process.stdout.write(`${tableVersion}\n`)
  }
  await committer.close()
  engine.close()
}

const [table, staging, blob, count] = process.argv.slice(2)
void main(table!, staging!, blob!, Number(count))
