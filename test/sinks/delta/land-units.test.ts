import assert from 'node:assert/strict'
import test from 'node:test'
import type { DeltaCommitter } from '../../../src/sinks/delta/committer.ts'
import type { UnitsReceipt, WrittenUnit } from '../../../src/sinks/table-committer.ts'
import { archive } from './archive/support.ts'
import { FaultyStorage } from './faulty-storage.ts'
import { daysLater, vacuum } from './maintenance/support.ts'
import { onEachStorage } from './on-each-storage.ts'
import {
  type CommitterOverrides,
  committerOf,
  encode,
  placesOf,
  span,
  type Workbench,
  workbench,
} from './support.ts'

async function opened(bench: Workbench, overrides?: CommitterOverrides): Promise<DeltaCommitter> {
  const committer = committerOf(bench, overrides)
  await committer.open()
  return committer
}

/** A unit of one row of ten bytes, written as `tailrace write` does. */
async function written(bench: Workbench, blob: string, start: number): Promise<WrittenUnit> {
  const source = span(blob, start, start + 10)
  const store = await opened(bench)
  const files = await store.storeUnit([await encode(bench, source, [{ offset: start, seed: start }])])
  return { spans: [source], files, rows: 1 }
}

function refusalOf({ outcomes }: UnitsReceipt): string {
  const [outcome] = outcomes
  assert.ok(typeof outcome === 'object')
  return outcome.refused
}

test('a unit that is committed while a vacuum deletes files of its age is refused, and the table keeps all its files', async (t) => {
  const bench = await workbench(t)
  const unit = await written(bench, 'logs/a', 0)
  const storage = new FaultyStorage(bench.storage)
  const receipts: UnitsReceipt[] = []
  storage.remove = async (path) => {
    receipts.push(await (await opened(bench, { clock: daysLater(8) })).landUnits([unit]))
    await bench.storage.remove(path)
  }
  await vacuum({ ...bench, storage })
  assert.equal(receipts.length, 1)
  assert.match(refusalOf(receipts[0]!), /hours old.*write the unit again, and commit it within 144 hours$/)
  assert.deepEqual(await placesOf(bench), [])
  const again = await opened(bench)
  await again.landUnits([await written(bench, 'logs/a', 0)])
  assert.deepEqual(await placesOf(bench), [['logs/a', 0, 0]])
})

onEachStorage('a unit lands up to a day before a vacuum may delete its files', async (bench) => {
  const unit = await written(bench, 'logs/a', 0)
  const late = await opened(bench, { clock: daysLater(6.1) })
  assert.match(refusalOf(await late.landUnits([unit])), /146\.\d hours old/)
  const timely = await opened(bench, { clock: daysLater(5.9) })
  assert.deepEqual((await timely.landUnits([unit])).outcomes, ['landed'])
  assert.deepEqual((await late.landUnits([unit])).outcomes, ['landed-before'])
})

onEachStorage(
  'units whose ranges another process lands and archives at the same moment do not land a second time',
  async (bench) => {
    const other = await opened(bench)
    const landRow = async (start: number): Promise<void> => {
      const source = span('logs/a', start, start + 10)
      await other.land([source], await encode(bench, source, [{ offset: start, seed: start }]))
    }
    await landRow(0)
    await archive(bench)
    const unit = await written(bench, 'logs/a', 10)
    const storage = new FaultyStorage(bench.storage)
    const committer = await opened(bench, { storage })
    storage.beforePut.push(async () => {
      await landRow(10)
      await archive(bench)
    })
    assert.deepEqual((await committer.landUnits([unit])).outcomes, ['landed-before'])
    assert.deepEqual(await placesOf(bench), [
      ['logs/a', 0, 0],
      ['logs/a', 10, 10],
    ])
  },
)

onEachStorage(
  'units land although another process archives the offsets that they start at',
  async (bench) => {
    const other = await opened(bench)
    const source = span('logs/a', 0, 10)
    await other.land([source], await encode(bench, source, [{ offset: 0, seed: 0 }]))
    const unit = await written(bench, 'logs/a', 10)
    const storage = new FaultyStorage(bench.storage)
    const committer = await opened(bench, { storage })
    storage.beforePut.push(async () => void (await archive(bench)))
    assert.deepEqual((await committer.landUnits([unit])).outcomes, ['landed'])
    assert.equal(await offsetOfBlob(bench), 20)
  },
)

async function offsetOfBlob(bench: Workbench): Promise<number | undefined> {
  const { generation } = span('logs/a', 0, 0)
  return (await opened(bench)).landed().get({ blob: 'logs/a', generation })
}
