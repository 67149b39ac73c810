import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { sqlString } from '../../src/sinks/encoding/engine.ts'
import { withEngine } from '../../src/sinks/encoding/engine-session.ts'
import { landingWorld, tableDirectoryOf } from '../support/faults/landing-world.ts'
import { cutRun } from '../support/faults/power-cuts.ts'
import { skipUnless } from '../support/skip-unless.ts'
import { landedRow, landedRowsSql, readTable } from '../support/table-rows.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { copyRowsByDeltaRs, deltaRsMissing } from './delta-rs.ts'

const skip = skipUnless(await deltaRsMissing())

// TAILRACE_CUTS is how many tables are read, TAILRACE_SEED the first seed.
const cutsWanted = Number(process.env.TAILRACE_CUTS ?? 40)
const firstSeed = Number(process.env.TAILRACE_SEED ?? 1)

test('delta-rs reads what power cuts left of a table, row for row', { skip }, async (t) => {
  const directory = await temporaryDirectory(t)
  const tables: { readonly table: string; readonly rows: string; readonly what: string }[] = []
  for (let seed = firstSeed; tables.length < cutsWanted; seed += 1) {
    const survivors = await cutRun(t, landingWorld(join(directory, `${seed}`), seed), seed)
    for (const { world, after } of survivors) {
      const table = tableDirectoryOf(world)
      // Before the first commit there is no table.
      if (!existsSync(join(table, '_delta_log', `${'0'.repeat(20)}.json`))) continue
      tables.push({
        table,
        rows: join(world.directory, 'rows.parquet'),
        what: `seed ${seed}, after ${after}`,
      })
    }
  }
  await copyRowsByDeltaRs(tables)
  let withRows = 0
  await withEngine(async (engine) => {
    for (const { table, rows, what } of tables) {
      const found = await engine.rows(landedRowsSql(`read_parquet(${sqlString(rows)})`))
      assert.deepEqual(found.map(landedRow), await readTable(table), what)
      if (found.length > 0) withRows += 1
    }
  })
  assert.ok(withRows > 0)
  t.diagnostic(`${tables.length} tables, ${withRows} with rows, seeds from ${firstSeed}`)
})
