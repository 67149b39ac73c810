import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TailraceError } from '../../../../src/errors.ts'
import { LandedOffsets } from '../../../../src/offsets/landed-offsets.ts'
import { landUnitGroups } from '../../../../src/sinks/databricks/loading/land-unit-groups.ts'
import type { UnitGroup, UnitLimits } from '../../../../src/sinks/databricks/loading/row-loader.ts'
import { UnitFiles } from '../../../../src/sinks/databricks/staging/unit-files.ts'
import type { WrittenUnit } from '../../../../src/sinks/table-committer.ts'
import { HastyClock } from '../../../support/hasty-clock.ts'

const generation = '20261124T084700Z'
const oneStatement: UnitLimits = {
  maxFiles: 1_000,
  maxRanges: Number.POSITIVE_INFINITY,
  isOneStatement: true,
}
const parts: UnitLimits = { maxFiles: 1_000, maxRanges: 50, isOneStatement: false }

/** The names of all files of units. */
const written = new Set<string>()

function unitOf(blob: string, start: number, end: number, folder = '2026-11-30/04', files = 1): WrittenUnit {
  const names = Array.from({ length: files }, (_, index) => `${folder}/${blob}-${start}-${index}.parquet`)
  for (const name of names) written.add(name)
  return {
    spans: [{ blob, generation, start, end }],
    files: names.map((name) => ({ name, bytes: 10, rows: 1 })),
    rows: files,
  }
}

/** A table without a workspace: every file is there unless `gone` says otherwise, and groups and requests are noted. */
function target(limits: UnitLimits, { gone = new Set<string>(), failsAt = 0, fencedAt = 0 } = {}) {
  const offsets = new LandedOffsets()
  const groups: UnitGroup[] = []
  const requests: string[] = []
  const removed: string[] = []
  const files = new UnitFiles({
    staging: {
      folder: '/Volumes/lake/logs/staging/units',
      put: async () => {},
      list: async (folder) => {
        requests.push('list')
        const names = [...written].filter((name) => name.startsWith(`${folder}/`) && !gone.has(name))
        return { files: names.map((name) => ({ name, bytes: 10, modifiedAtMs: 0 })), folders: [] }
      },
      sizeOf: async () => {
        requests.push('sizeOf')
        return undefined
      },
      remove: async (name) => void removed.push(name),
    },
    expired: { removeExpired: async () => {}, reportingFailure: (work) => work() },
    clock: new HastyClock(),
  })
  let calls = 0
  return {
    groups,
    requests,
    removed,
    offsets,
    files,
    limits,
    offsetOf: offsets.get.bind(offsets),
    land: async (group: UnitGroup) => {
      calls += 1
      if (calls === failsAt) throw new TailraceError('WAREHOUSE_UNAVAILABLE', 'injected')
      if (calls === fencedAt) return false
      for (const { blob, start, end, ...rest } of group.spans) {
        assert.equal(offsets.get({ blob, ...rest }) ?? 0, start, 'a group begins at the offsets')
        offsets.set({ blob, ...rest, offset: end })
      }
      groups.push(group)
      return true
    },
    onLanded: () => {},
  }
}

const all = (outcome: unknown): boolean => outcome === 'landed'

test('5,000 units of one blob land in as few statements as 1,000 files each allow, in whatever order they come', async () => {
  for (const order of ['forward', 'backward'] as const) {
    const units = Array.from({ length: 5_000 }, (_, index) => unitOf('a', index * 10, index * 10 + 10))
    if (order === 'backward') units.reverse()
    const table = target(oneStatement)
    const { outcomes } = await landUnitGroups(units, table)
    assert.ok(outcomes.every(all))
    assert.equal(table.groups.length, 5)
    assert.deepEqual(
      table.groups.map(({ spans }) => spans.length),
      [1, 1, 1, 1, 1],
      'ranges that touch are one range',
    )
    assert.equal(table.removed.length, 5_000)
  }
})

test('units of 4,000 blobs land fifty blobs a statement where its parameters end, and together where there is no such limit', async () => {
  const units = Array.from({ length: 4_000 }, (_, index) => unitOf(`b${index}`, 0, 10))
  const few = target(parts)
  assert.ok((await landUnitGroups(units, few)).outcomes.every(all))
  assert.equal(few.groups.length, 80)
  const many = target(oneStatement)
  assert.ok((await landUnitGroups(units, many)).outcomes.every(all))
  assert.equal(many.groups.length, 4)
})

test('files of one folder go into one COPY INTO, and a range lands behind the one that it continues', async () => {
  const units = [
    unitOf('a', 0, 10, '2026-11-30/04'),
    unitOf('a', 10, 20, '2026-11-30/05'),
    unitOf('a', 20, 30, '2026-11-30/04'),
    unitOf('b', 0, 10, '2026-11-30/05'),
    unitOf('c', 0, 10, '2026-11-30/04'),
  ]
  const table = target(oneStatement)
  assert.ok((await landUnitGroups(units, table)).outcomes.every(all))
  const places = table.groups.map(({ spans }) => spans.map(({ blob, start }) => `${blob}${start}`).join(' '))
  assert.deepEqual(places, ['a0 c0', 'b0 a10', 'a20'])
  const together = target(parts)
  await landUnitGroups(units, together)
  assert.equal(together.groups.length, 1, 'other statements take files of any folder')
})

test('a unit of more files than one statement loads is refused by name where it has to be whole, and the others land', async () => {
  const units = [unitOf('a', 0, 10, '2026-11-30/04', 1_001), unitOf('b', 0, 10)]
  const table = target(oneStatement)
  const { outcomes } = await landUnitGroups(units, table)
  assert.match(JSON.stringify(outcomes[0]), /its 1001 files are more than the 1000/)
  assert.equal(outcomes[1], 'landed')
  assert.ok((await landUnitGroups(units, target(parts))).outcomes.every(all))
})

test('an error ends a commit between two groups: what has landed is tidied, and a repetition lands the rest', async () => {
  const units = Array.from({ length: 2_500 }, (_, index) => unitOf('a', index * 10, index * 10 + 10))
  const failing = target(oneStatement, { failsAt: 2 })
  await assert.rejects(landUnitGroups(units, failing), /injected/)
  assert.equal(failing.removed.length, 1_000)
  const { outcomes } = await landUnitGroups(units, failing)
  assert.equal(outcomes.filter((outcome) => outcome === 'landed-before').length, 1_000)
  assert.equal(outcomes.filter(all).length, 1_500)
})

test('units that another process has overtaken are judged again, and those whose files are gone are refused', async () => {
  const units = [unitOf('a', 0, 10), unitOf('b', 0, 10)]
  const fenced = target(parts, { fencedAt: 1 })
  assert.ok((await landUnitGroups(units, fenced)).outcomes.every(all))
  const gone = target(parts, { gone: new Set(['2026-11-30/04/b-0-0.parquet']) })
  const { outcomes } = await landUnitGroups(units, gone)
  assert.equal(outcomes[0], 'landed')
  assert.match(JSON.stringify(outcomes[1]), /is no longer there: write the unit again/)
})

test('a unit that another process lands between two groups ends the commit as landed before', async () => {
  const units = [unitOf('a', 0, 10, '2026-11-30/04', 600), unitOf('b', 0, 10, '2026-11-30/04', 600)]
  const table = target(parts)
  const landed: string[][] = []
  const { outcomes } = await landUnitGroups(units, {
    ...table,
    land: async (group) => {
      landed.push(group.spans.map((span) => span.blob))
      assert.ok(landed.length <= 2, 'the commit does not end')
      // Reading the offsets after a lost answer shows those of another commit too.
      table.offsets.set({ blob: 'b', generation, offset: 10 })
      return table.land(group)
    },
  })
  assert.deepEqual(outcomes, ['landed', 'landed-before'])
  assert.deepEqual(landed, [['a']])
})

test('a repeated commit of units that have landed makes no request, and units that are gone cost one listing', async () => {
  const units = Array.from({ length: 5_000 }, (_, index) => unitOf(`r${index}`, 0, 10, '2026-11-30/06'))
  const table = target(oneStatement)
  for (const { spans } of units)
    for (const { end, ...source } of spans) table.offsets.set({ ...source, offset: end })
  const { outcomes } = await landUnitGroups(units, table)
  assert.ok(outcomes.every((outcome) => outcome === 'landed-before'))
  assert.deepEqual(table.requests, [])
  const gone = target(oneStatement, {
    gone: new Set(units.flatMap(({ files }) => files.map(({ name }) => String(name)))),
  })
  const refused = await landUnitGroups(units, gone)
  assert.ok(refused.outcomes.every((outcome) => typeof outcome === 'object'))
  assert.deepEqual(gone.requests, ['list'])
})

test('units end with an error when other processes move the offsets all the time', async () => {
  const table = { ...target(parts), land: async () => false }
  await assert.rejects(landUnitGroups([unitOf('a', 0, 10)], table), /COMMIT_CONTENDED|during all 10 attempts/)
})
