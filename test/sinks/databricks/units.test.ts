import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isTailraceError } from '../../../src/errors.ts'
import { databricksOptions } from '../../../src/sinks/databricks/options.ts'
import { databricksSink } from '../../../src/sinks/databricks/sink.ts'
import type {
  EncodedBatch,
  TableCommitter,
  UnitOutcome,
  WrittenUnit,
} from '../../../src/sinks/table-committer.ts'
import {
  blob,
  type CommitterFixture,
  committerFixture,
  type FixtureMode,
  rowsOf,
  type Step,
  span,
} from './committer-fixture.ts'

const modes = ['transaction', 'replace-where', 'copy-into'] as const
const labels: Partial<Record<FixtureMode, string>> = {
  transaction: 'land a batch',
  'replace-where': 'replace the rows of ranges',
  'copy-into': 'load files',
}

/** Commits manifests as a process of its own does. @returns the outcomes, and the labels of its calls */
async function commitAll(
  fixture: CommitterFixture,
  units: readonly WrittenUnit[],
  mode: FixtureMode,
  recoversOffsets = false,
): Promise<{ readonly outcomes: readonly UnitOutcome[]; readonly calls: readonly string[] }> {
  const calls: string[] = []
  const step: Step = (name, call) => {
    calls.push(name)
    return call()
  }
  const committer = await fixture.open('events', { mode, step, recoversOffsets })
  const receipt = await committer.landUnits?.(units)
  await committer.close()
  return { outcomes: receipt?.outcomes ?? [], calls }
}

const statements = (calls: readonly string[], mode: FixtureMode): number =>
  calls.filter((name) => name === labels[mode]).length

const count = 1_100

test(`${count} manifests land in two statements, and a repetition sends none, by transaction and COPY INTO`, async (t) => {
  const { encode } = await committerFixture(t)
  const spans = Array.from({ length: count }, (_, at) => span(at * 10, at * 10 + 10))
  const encoded: EncodedBatch[] = []
  for (const one of spans) encoded.push(await encode(one))
  for (const mode of ['transaction', 'copy-into'] as const) {
    const fixture = await committerFixture(t)
    const units: WrittenUnit[] = []
    for (const [at, one] of spans.entries())
      units.push(await fixture.storeUnit('events', [one], [encoded[at]!]))
    const first = await commitAll(fixture, units, mode)
    assert.ok(first.outcomes.every((outcome) => outcome === 'landed'))
    assert.equal(statements(first.calls, mode), 2, mode)
    assert.deepEqual(await fixture.rows('events'), rowsOf({ start: 0, end: count * 10 }))
    const again = await commitAll(fixture, units, mode)
    assert.ok(again.outcomes.every((outcome) => outcome === 'landed-before'))
    assert.equal(statements(again.calls, mode), 0, mode)
  }
})

for (const mode of modes) {
  test(`the files of units that have landed by ${mode} are gone when their commit ends, removed some at a time`, async (t) => {
    const fixture = await committerFixture(t)
    const units: WrittenUnit[] = []
    for (let at = 0; at < 60; at += 1)
      units.push(await fixture.writeUnit('events', [span(at * 10, at * 10 + 10)]))
    let [current, most] = [0, 0]
    const committer = await fixture.open('events', {
      mode,
      step: async (name, call) => {
        if (name !== 'remove') return call()
        current += 1
        most = Math.max(most, current)
        const result = await call()
        current -= 1
        return result
      },
    })
    await committer.landUnits?.(units)
    const left = await fixture.staged('events')
    assert.deepEqual(
      left.filter((name) => !name.endsWith('.sent')),
      [],
    )
    // The mark of a COPY INTO stays for as long as the file of a batch would.
    assert.equal(left.length, mode === 'copy-into' ? 1 : 0)
    assert.equal(most, 16)
    await committer.close()
  })

  test(`a unit of 120 blobs lands whole by ${mode}, and other units with it`, async (t) => {
    const fixture = await committerFixture(t)
    const spans = Array.from({ length: 120 }, (_, index) => ({
      blob: `logs/${index}.json`,
      generation: blob.generation,
      start: 0,
      end: 10,
    }))
    const units = [
      await fixture.writeUnit('events', [span(0, 20)]),
      await fixture.writeUnit('events', spans),
      await fixture.writeUnit('events', [span(20, 40)]),
    ]
    const { outcomes, calls } = await commitAll(fixture, units, mode)
    assert.deepEqual(outcomes, ['landed', 'landed', 'landed'])
    assert.equal(statements(calls, mode), mode === 'replace-where' ? 4 : 1)
    const landed = await fixture.rows('events')
    assert.deepEqual(
      landed.filter((row) => !row.startsWith('0 ')),
      rowsOf({ start: 10, end: 40 }),
    )
    assert.equal(landed.length, 124)
  })

  test(`two processes that commit the same units by ${mode} at once, each with copies of its own, leave each row once`, async (t) => {
    const fixture = await committerFixture(t)
    const written = async (): Promise<WrittenUnit[]> => [
      await fixture.writeUnit('events', [span(0, 50)]),
      await fixture.writeUnit('events', [span(50, 100)]),
    ]
    const both = [await written(), await written()]
    // A file of offsets has one owner, which the lock of the state directory sees to.
    const open = (): Promise<TableCommitter> => fixture.open('events', { mode })
    const committers = mode === 'transaction' ? [await open(), await open()] : [await open()]
    const receipts = await Promise.all(
      both.map((units, index) => (committers[index] ?? committers[0])?.landUnits?.(units)),
    )
    assert.deepEqual(receipts.map((receipt) => receipt?.outcomes.join()).sort(), [
      'landed,landed',
      'landed-before,landed-before',
    ])
    assert.deepEqual(await fixture.rows('events'), rowsOf({ start: 0, end: 100 }))
  })
}

test('units that another state directory has committed by replace-where are committed again without a double', async (t) => {
  const fixture = await committerFixture(t)
  const units = [
    await fixture.writeUnit('events', [span(0, 50)]),
    await fixture.writeUnit('events', [span(50, 100)]),
  ]
  const late = await fixture.open('events', { mode: 'replace-where', recoversOffsets: true })
  await fixture.forget('events')
  await commitAll(fixture, units, 'replace-where', true)
  const copy = [await fixture.writeUnit('events', [span(0, 50)]), units[1]!]
  const receipt = await late.landUnits?.(copy)
  assert.equal(receipt?.outcomes[0], 'landed')
  assert.match(JSON.stringify(receipt?.outcomes[1]), /is no longer there: write the unit again/)
  assert.deepEqual(await fixture.rows('events'), rowsOf({ start: 0, end: 100 }))
})

test('units that another state directory has committed by copy-into are refused with what was found', async (t) => {
  const fixture = await committerFixture(t)
  const units = [await fixture.writeUnit('events', [span(0, 50)])]
  const late = await fixture.open('events')
  await fixture.forget('events')
  await commitAll(fixture, units, 'copy-into')
  const copy = [await fixture.writeUnit('events', [span(0, 50)])]
  await assert.rejects(late.landUnits?.(copy) ?? Promise.resolve(), (error) =>
    isTailraceError(error, 'LOAD_UNCLEAR'),
  )
  assert.deepEqual(await fixture.rows('events'), rowsOf({ start: 0, end: 50 }))
})

test('a commit of units by replace-where without an offset file takes the offsets from the rows', async (t) => {
  const fixture = await committerFixture(t)
  const units = [
    await fixture.writeUnit('events', [span(0, 50)]),
    await fixture.writeUnit('events', [span(50, 100)]),
  ]
  await commitAll(fixture, units.slice(0, 1), 'replace-where')
  await fixture.forget('events')
  const { outcomes } = await commitAll(fixture, units, 'replace-where', true)
  assert.deepEqual(outcomes, ['landed-before', 'landed'])
  assert.deepEqual(await fixture.rows('events'), rowsOf({ start: 0, end: 100 }))
})

test('units of a blob whose load is unclear are refused by name, and the others land', async (t) => {
  const fixture = await committerFixture(t)
  const other = { blob: 'logs/other.json', generation: blob.generation, start: 0, end: 20 }
  const units = [await fixture.writeUnit('events', [span(0, 50)]), await fixture.writeUnit('events', [other])]
  const failing = await fixture.open('events', {
    step: async (name, call) => {
      if (name !== 'load files') return call()
      await call()
      throw new Error('the process ends')
    },
  })
  await assert.rejects(failing.landUnits?.(units.slice(0, 1)) ?? Promise.resolve(), /the process ends/)
  await fixture.warehouse.rows('DELETE FROM "lake"."logs"."events" WHERE source_offset = 10')
  const { outcomes } = await commitAll(fixture, units, 'copy-into')
  assert.match(JSON.stringify(outcomes[0]), /a load of logs\/pg.json is unclear: see tailrace intent show/)
  assert.equal(outcomes[1], 'landed')
  assert.ok(
    (await fixture.staged('events')).some((name) => name.startsWith('units/')),
    'its evidence is kept',
  )
})

test('the modes that are refused for units are those whose committers land none', async (t) => {
  const fixture = await committerFixture(t)
  for (const one of ['transaction', 'replace-where', 'copy-into', 'merge', 'stage-only'] as const) {
    const committer = await fixture.open(`of_${one.replace('-', '_')}`, { mode: one })
    const options = databricksOptions.parse({
      kind: 'databricks',
      host: 'adb-1.azuredatabricks.net',
      httpPath: '/sql/1.0/warehouses/a',
      auth: { kind: 'token', token: 'a' },
      volume: '/Volumes/lake/logs/staging',
      mode: one,
    })
    const answer = databricksSink.units?.(options)
    assert.equal(answer !== undefined && 'because' in answer, committer.landUnits === undefined, one)
    await committer.close()
  }
})
