import assert from 'node:assert/strict'
import { link, mkdir, readdir, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { LocalDeltaStorage } from '../../../../src/sinks/delta/storage/local.ts'
import { VirtualClock } from '../../../streams/virtual-clock.ts'
import { type FileCall, systemError, watchFileCalls } from '../../../support/faults/file-calls.ts'
import { temporaryDirectory } from '../../../support/temporary-directory.ts'

async function prepared(t: TestContext) {
  const directory = await temporaryDirectory(t)
  const table = join(directory, 'table')
  const log = join(table, '_delta_log')
  const storage = new LocalDeltaStorage(table)
  await storage.prepare()
  return { directory, table, log, storage }
}

/** A failing call, by its name and a part of its path. */
interface Fault {
  readonly name: FileCall['name']
  readonly path: string | RegExp
  readonly code: string
  /** How many calls fail. Default: each. */
  times?: number
}

/** Runs an operation while some calls fail, and asserts that each file it opened is closed. @returns the calls made */
async function withFaults(
  t: TestContext,
  faults: readonly Fault[],
  operation: () => Promise<unknown>,
): Promise<readonly FileCall[]> {
  const calls: FileCall[] = []
  let open = 0
  const stop = await watchFileCalls(t, {
    before: (call) => {
      calls.push(call)
      if (call.name === 'file.close') open -= 1
      const fault = faults.find(
        ({ name, path, times = 1 }) =>
          call.name === name &&
          times > 0 &&
          (typeof path === 'string' ? call.path === path : path.test(call.path)),
      )
      if (fault === undefined) return undefined
      if (fault.times !== undefined) fault.times -= 1
      throw systemError(fault.code, call)
    },
    after: ({ name }) => {
      if (name === 'open') open += 1
    },
  })
  try {
    await operation()
  } finally {
    stop()
  }
  assert.equal(open, 0, 'open files')
  return calls
}

const made = (calls: readonly FileCall[], name: FileCall['name']) =>
  calls.filter((call) => call.name === name).map(({ path }) => path)

test('the names of a table and of every folder above it are made durable, up to one that may not be read', async (t) => {
  const table = join(await temporaryDirectory(t), 'lake', 'table')
  const above = [table]
  while (above.at(-1) !== '/') above.push(dirname(above.at(-1)!))
  const storage = new LocalDeltaStorage(table)
  const synced = (calls: readonly FileCall[]) =>
    [...new Set(made(calls, 'file.sync'))].filter((path) => above.includes(path))
  assert.deepEqual(synced(await withFaults(t, [], () => storage.prepare())), above)
  for (const code of ['EACCES', 'EPERM', 'EINVAL', 'EROFS']) {
    for (const name of ['open', 'file.sync'] as const) {
      const calls = await withFaults(t, [{ name, path: above[2]!, code }], () =>
        new LocalDeltaStorage(table).prepare(),
      )
      assert.ok(!synced(calls).includes(above[3]!), `${name} ${code}`)
    }
  }
  await assert.rejects(
    withFaults(t, [{ name: 'file.sync', path: above[2]!, code: 'EIO' }], () =>
      new LocalDeltaStorage(table).prepare(),
    ),
    { code: 'TABLE_UNAVAILABLE' },
  )
})

test('a file system without hard links is refused, any other failure of a link is not, and nothing is left', async (t) => {
  const { log, table } = await prepared(t)
  for (const [code, expected] of [
    ['EPERM', 'TABLE_UNSUPPORTED'],
    ['ENOTSUP', 'TABLE_UNSUPPORTED'],
    ['EOPNOTSUPP', 'TABLE_UNSUPPORTED'],
    ['ENOSYS', 'TABLE_UNSUPPORTED'],
    ['EMLINK', 'TABLE_UNSUPPORTED'],
    ['EIO', 'TABLE_UNAVAILABLE'],
  ]) {
    const preparing = withFaults(t, [{ name: 'link', path: /link-check/, code: code! }], () =>
      new LocalDeltaStorage(table).prepare(),
    )
    await assert.rejects(preparing, { code: expected }, code)
    assert.deepEqual(await readdir(log), [])
  }
  const calls = await withFaults(t, [], () => new LocalDeltaStorage(table).prepare())
  assert.equal(made(calls, 'link').length, 1)
  assert.deepEqual(await readdir(log), [])
})

test('a commit leaves no temporary file, and one that cannot be removed does not make it fail', async (t) => {
  const { storage, log } = await prepared(t)
  assert.equal(await storage.putIfAbsent('_delta_log/0.json', Buffer.from('a')), 'created')
  assert.equal(await storage.putIfAbsent('_delta_log/0.json', Buffer.from('b')), 'exists')
  await storage.put('_delta_log/1.json', Buffer.from('c'))
  assert.deepEqual((await readdir(log)).sort(), ['0.json', '1.json'])
  const fault = { name: 'rm', path: /\.tmp$/, code: 'EIO' } as const
  await withFaults(t, [fault], async () =>
    assert.equal(await storage.putIfAbsent('_delta_log/2.json', Buffer.from('d')), 'created'),
  )
})

test('a commit of which a call fails is an error and no commit, and leaves no temporary file', async (t) => {
  const { storage, log } = await prepared(t)
  for (const name of ['open', 'file.writeFile', 'file.sync', 'file.close', 'link'] as const) {
    const put = withFaults(t, [{ name, path: /1\.json/, code: 'EIO' }], () =>
      storage.putIfAbsent('_delta_log/1.json', Buffer.from('x')),
    )
    await assert.rejects(put, { code: 'TABLE_UNAVAILABLE', context: { reason: 'EIO' } }, name)
    assert.deepEqual(await readdir(log), [], name)
  }
})

test('a commit into a table that was removed meanwhile reports that', async (t) => {
  const { storage, table } = await prepared(t)
  await rm(table, { recursive: true })
  await assert.rejects(storage.putIfAbsent('_delta_log/1.json', Buffer.from('x')), { code: 'TABLE_MISSING' })
})

test('files are listed in the order of their names, in pages of a thousand', async (t) => {
  const { storage, table } = await prepared(t)
  const names = Array.from({ length: 2_001 }, (_, index) => `f${(index * 7_919) % 10_007}`)
  await mkdir(join(table, 'many'))
  await writeFile(join(table, 'many', names[0]!), 'a')
  for (const name of names.slice(1)) await link(join(table, 'many', names[0]!), join(table, 'many', name))
  const pagesOf = async () => {
    const pages: string[][] = []
    for await (const page of storage.pages('many')) pages.push(page.map(({ name }) => name))
    return pages
  }
  const pages = await pagesOf()
  assert.deepEqual(
    pages.map(({ length }) => length),
    [1_000, 1_000, 1],
  )
  assert.deepEqual(pages.flat(), names.sort())
  await rm(join(table, 'many', names[0]!))
  assert.equal((await pagesOf()).length, 2)
})

test('a file that vanishes while a folder is read is left out, and what is neither file nor folder too', async (t) => {
  const { storage, table } = await prepared(t)
  await mkdir(join(table, 'day=1', 'inner'), { recursive: true })
  for (const name of ['a', 'b']) await writeFile(join(table, 'day=1', name), name)
  await symlink(join(table, 'day=1', 'a'), join(table, 'day=1', 'link'))
  const contents = async () => {
    const { objects, folders } = await storage.contentsOf('day=1')
    return [objects.map(({ name }) => name).sort(), folders]
  }
  assert.deepEqual(await contents(), [['a', 'b'], ['inner']])
  const lost = { name: 'lstat', path: join(table, 'day=1', 'a'), code: 'ENOENT' } as const
  await withFaults(t, [lost], async () => assert.deepEqual(await contents(), [['b'], ['inner']]))
  await assert.rejects(withFaults(t, [{ ...lost, code: 'EIO' }], contents), { code: 'TABLE_UNAVAILABLE' })
})

test('a folder that is missing is empty and a file that is missing is removed, and any other failure is an error', async (t) => {
  const { storage, log } = await prepared(t)
  assert.deepEqual(await storage.list('none'), [])
  await storage.remove('_delta_log/none')
  await writeFile(join(log, '1.json'), '')
  await assert.rejects(
    withFaults(t, [{ name: 'readdir', path: log, code: 'EIO' }], () => storage.list('_delta_log')),
    { code: 'TABLE_UNAVAILABLE' },
  )
  await assert.rejects(
    withFaults(t, [{ name: 'unlink', path: join(log, '1.json'), code: 'EIO' }], () =>
      storage.remove('_delta_log/1.json'),
    ),
    { code: 'TABLE_UNAVAILABLE' },
  )
})

test('temporary files older than an hour are deleted at the start, and nothing else, however old', async (t) => {
  const { table, log } = await prepared(t)
  const clock = new VirtualClock()
  const write = async (name: string, ageMs: number) => {
    await writeFile(join(log, name), '')
    const seconds = (clock.now() - ageMs) / 1_000
    await utimes(join(log, name), seconds, seconds)
  }
  await write('0.json', 1_000_000_000)
  await write('.1.json.a.tmp', 3_600_000)
  await write('.2.json.b.tmp', 3_601_000)
  const faults: Fault[] = [{ name: 'stat', path: /b\.tmp$/, code: 'ENOENT' }]
  await withFaults(t, faults, () => new LocalDeltaStorage(table, clock).prepare())
  assert.deepEqual((await readdir(log)).sort(), ['.1.json.a.tmp', '.2.json.b.tmp', '0.json'])
  await new LocalDeltaStorage(table, clock).prepare()
  assert.deepEqual((await readdir(log)).sort(), ['.1.json.a.tmp', '0.json'])
  await assert.rejects(
    withFaults(t, [{ name: 'stat', path: /a\.tmp$/, code: 'EIO' }], () =>
      new LocalDeltaStorage(table, clock).prepare(),
    ),
    { code: 'TABLE_UNAVAILABLE' },
  )
})

test('a folder is made and synced for its first file only', async (t) => {
  const { storage, directory, table } = await prepared(t)
  const put = async (name: string) => {
    await writeFile(join(directory, name), name)
    return withFaults(t, [], () => storage.putFile(join(directory, name), `day=1/${name}`))
  }
  assert.deepEqual(
    made(await put('a'), 'file.sync').map((path) => basename(path)),
    ['a', 'table', 'day=1'],
  )
  const again = await put('b')
  assert.deepEqual(
    made(again, 'file.sync').map((path) => basename(path)),
    ['b', 'day=1'],
  )
  assert.deepEqual(made(again, 'mkdir'), [])
  assert.deepEqual((await readdir(join(table, 'day=1'))).sort(), ['a', 'b'])
})

test('between volumes a file is copied beside the log, or beside its target, synced there, and named last', async (t) => {
  const { storage, directory, table, log } = await prepared(t)
  const [from, to] = [join(directory, 'a'), join(table, 'day=1', 'a')]
  for (const times of [1, 2]) {
    await writeFile(from, 'rows')
    const fault: Fault = { name: 'rename', path: to, code: 'EXDEV', times }
    const calls = await withFaults(t, [fault], () => storage.putFile(from, 'day=1/a'))
    const folders = made(calls, 'copyFile').map((path) => dirname(path))
    assert.deepEqual(folders, times === 1 ? [log] : [log, join(table, 'day=1')])
    const steps = calls
      .filter(({ name }) => ['copyFile', 'file.sync', 'rename'].includes(name))
      .map(({ name }) => name)
    assert.deepEqual(steps.slice(-4), ['copyFile', 'file.sync', 'rename', 'file.sync'])
    assert.equal(await readFile(to, 'utf8'), 'rows')
    assert.deepEqual(
      [await readdir(log), await readdir(dirname(to)), (await readdir(directory)).includes('a')],
      [[], ['a'], false],
    )
    await rm(to)
  }
})

test('a file that cannot be moved stays where it was, is tried once, and no copy of it is left', async (t) => {
  const { storage, directory, table, log } = await prepared(t)
  const [from, to] = [join(directory, 'a'), join(table, 'day=1', 'a')]
  await writeFile(from, 'rows')
  const elsewhere: Fault = { name: 'rename', path: to, code: 'EXDEV' }
  const cases: readonly (readonly [readonly Fault[], copies: number, renames: number])[] = [
    [[{ name: 'rename', path: to, code: 'EIO' }], 0, 1],
    [[elsewhere, { name: 'copyFile', path: /\.tmp$/, code: 'EIO' }], 1, 1],
    [[elsewhere, { name: 'file.sync', path: /\.tmp$/, code: 'EIO' }], 1, 1],
  ]
  for (const [faults, copies, renames] of cases) {
    const calls: FileCall[] = []
    const stop = await watchFileCalls(t, {
      before: (call) => {
        calls.push(call)
        const fault = faults.find(
          ({ name, path }) =>
            call.name === name && (typeof path === 'string' ? call.path === path : path.test(call.path)),
        )
        if (fault !== undefined) throw systemError(fault.code, call)
        return undefined
      },
    })
    await assert.rejects(storage.putFile(from, 'day=1/a'), {
      code: 'TABLE_UNAVAILABLE',
      context: { reason: 'EIO' },
    })
    stop()
    assert.deepEqual([made(calls, 'copyFile').length, made(calls, 'rename').length], [copies, renames])
    assert.equal(await readFile(from, 'utf8'), 'rows')
    assert.deepEqual([await readdir(log), await readdir(dirname(to))], [[], []])
  }
})
