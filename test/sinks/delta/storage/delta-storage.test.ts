import assert from 'node:assert/strict'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { isTailraceError } from '../../../../src/errors.ts'
import type { DeltaStorage, StoredObject } from '../../../../src/sinks/delta/storage/delta-storage.ts'
import { onEachStorage } from '../on-each-storage.ts'

const partition = 'event_date=2026-01-01/part é 1%.parquet'

onEachStorage(
  'of many creations of one path exactly one wins, and its bytes are whole',
  async ({ storage }) => {
    await storage.prepare()
    const contents = Array.from({ length: 20 }, (_, index) => Buffer.alloc(100_000, index))
    const outcomes = await Promise.all(
      contents.map((bytes) => storage.putIfAbsent('_delta_log/x.json', bytes)),
    )
    assert.equal(outcomes.filter((outcome) => outcome === 'created').length, 1)
    assert.equal(outcomes.filter((outcome) => outcome === 'exists').length, 19)
    assert.deepEqual(await storage.read('_delta_log/x.json'), contents[outcomes.indexOf('created')])
    assert.deepEqual(await storage.list('_delta_log'), ['x.json'])
  },
)

async function objectsOf(
  storage: DeltaStorage,
  folder: string,
  prefix?: string,
): Promise<readonly StoredObject[]> {
  const objects: StoredObject[] = []
  for await (const page of storage.pages(folder, prefix)) objects.push(...page)
  return objects
}

onEachStorage(
  'what is not there is read as undefined, listed as nothing and removed without error',
  async ({ storage }) => {
    await storage.prepare()
    assert.equal(await storage.read('_delta_log/x.json'), undefined)
    assert.deepEqual(await storage.list('nowhere'), [])
    assert.deepEqual(await objectsOf(storage, 'nowhere'), [])
    await storage.remove('_delta_log/x.json')
  },
)

onEachStorage('what is put replaces what was there, and what is removed is gone', async ({ storage }) => {
  await storage.prepare()
  for (const text of ['first', '', 'a longer one']) {
    await storage.put('_delta_log/_last_checkpoint', Buffer.from(text))
    assert.equal(String(await storage.read('_delta_log/_last_checkpoint')), text)
  }
  await storage.remove('_delta_log/_last_checkpoint')
  assert.equal(await storage.read('_delta_log/_last_checkpoint'), undefined)
})

onEachStorage(
  'a folder is listed without what lies in folders below it, and with times',
  async ({ storage, staging }) => {
    await storage.prepare()
    const beforeMs = Date.now()
    await storage.putIfAbsent('_delta_log/0.json', Buffer.from('x'))
    const local = join(staging, 'a')
    await writeFile(local, 'rows')
    await storage.putFile(local, '_delta_log/_sidecars/1.parquet')
    const found = await objectsOf(storage, '_delta_log')
    assert.deepEqual(
      found.map(({ name }) => name),
      ['0.json'],
    )
    assertWithin(found[0]!.modifiedMs, beforeMs)
  },
)

onEachStorage('a prefix leaves out the names that do not begin with it', async ({ storage }) => {
  await storage.prepare()
  const names = ['10.json', '1.json', '2.json', '1.crc', '01.json', '_last_checkpoint']
  for (const name of names) await storage.put(`_delta_log/${name}`, Buffer.from(name))
  assert.deepEqual((await storage.list('_delta_log', '1')).sort(), ['1.crc', '1.json', '10.json'])
  assert.deepEqual(await storage.list('_delta_log', '3'), [])
  const objects = await objectsOf(storage, '_delta_log', '1')
  assert.deepEqual(
    objects.map(({ name, bytes }) => `${name} ${bytes}`),
    ['1.crc 5', '1.json 6', '10.json 7'],
    'in the order of the names',
  )
  assert.deepEqual(
    (await objectsOf(storage, '_delta_log')).map(({ name }) => name),
    names.sort(),
  )
})

onEachStorage(
  "a folder's contents are its files with their sizes, and its folders",
  async ({ storage, staging }) => {
    const beforeMs = Date.now()
    await storage.prepare()
    await storage.putIfAbsent('_delta_log/0.json', Buffer.from('x'))
    for (const [path, text] of [
      ['root.parquet', 'rows'],
      ['day=1/é 1%.parquet', 'more rows'],
      ['day=1/hour=2/a.parquet', ''],
      ['day=2/a.parquet', 'x'],
    ] as const) {
      const local = join(staging, 'a')
      await writeFile(local, text)
      await storage.putFile(local, path)
    }
    const contents = async (folder: string) => {
      const { objects, folders } = await storage.contentsOf(folder)
      for (const { modifiedMs } of objects) assertWithin(modifiedMs, beforeMs)
      return [objects.map(({ name, bytes }) => `${name} ${bytes}`).sort(), folders.toSorted()]
    }
    assert.deepEqual(await contents(''), [['root.parquet 4'], ['_delta_log', 'day=1', 'day=2']])
    assert.deepEqual(await contents('day=1'), [['é 1%.parquet 9'], ['hour=2']])
    assert.deepEqual(await contents('day=1/hour=2'), [['a.parquet 0'], []])
    assert.deepEqual(await contents('nowhere'), [[], []])
  },
)

onEachStorage(
  'a file goes into the table, and comes back when its commit fails',
  async ({ storage, staging, dataFiles }) => {
    await storage.prepare()
    const local = join(staging, 'a.parquet')
    await writeFile(local, 'rows')
    await storage.putFile(local, partition)
    assert.deepEqual(await dataFiles(), [partition])
    assert.equal(String(await storage.read(partition)), 'rows')
    await storage.withdrawFile(partition, local)
    assert.equal(await readFile(local, 'utf8'), 'rows')
    assert.deepEqual(await dataFiles(), [])

    await storage.putFile(local, partition)
    await rm(local, { force: true })
    await storage.withdrawFile(partition, local)
    assert.equal(await readFile(local, 'utf8'), 'rows')
    assert.deepEqual(await dataFiles(), [])
  },
)

onEachStorage('an object can be opened by path, under its own name', async ({ storage, staging }) => {
  await storage.prepare()
  const bytes = Buffer.from(Array.from({ length: 300_000 }, (_, index) => index % 251))
  const local = join(staging, 'a.parquet')
  await writeFile(local, bytes)
  await storage.putFile(local, partition)
  const [one, other] = await Promise.all([storage.localFile(partition), storage.localFile(partition)])
  assert.equal(basename(one.path), basename(partition))
  assert.deepEqual(await readFile(one.path), bytes)
  await one.release()
  assert.deepEqual(await readFile(other.path), bytes)
  await other.release()
})

onEachStorage('a path that leads out of the table is refused', async ({ storage }) => {
  for (const path of ['../x', 'a/../../x', '/etc/x']) {
    await assert.rejects(storage.read(path), (error) => isTailraceError(error, 'TABLE_UNSUPPORTED'))
  }
})

onEachStorage('a staged file that is gone is not to be retried', async ({ storage, staging }) => {
  await storage.prepare()
  await assert.rejects(
    storage.putFile(join(staging, 'gone'), 'a.parquet'),
    (error) => isTailraceError(error, 'TABLE_UNSUPPORTED') && error.message.includes('ENOENT'),
  )
})

/** Asserts that an object was modified between an instant and now; storage keeps whole seconds. */
function assertWithin(modifiedMs: number, beforeMs: number): void {
  assert.ok(modifiedMs >= beforeMs - 1_000 && modifiedMs <= Date.now() + 1_000, `${modifiedMs}`)
}
