import assert from 'node:assert/strict'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { directoryEntries } from '../../../../doubles/workspace/directory-entries.ts'
import { SqlFailure } from '../../../../doubles/workspace/warehouse-engine.ts'
import { FilesApiStaging } from '../../../../src/sinks/databricks/staging/files-api.ts'
import { SqlVolumeStaging } from '../../../../src/sinks/databricks/staging/sql-volume.ts'
import type { VolumeStaging } from '../../../../src/sinks/databricks/staging/volume-staging.ts'
import { WorkspaceHttp } from '../../../../src/sinks/databricks/workspace/http.ts'
import { eventually } from '../../../support/eventually.ts'
import { temporaryDirectory } from '../../../support/temporary-directory.ts'
import { addressOf, tokenOf, type WarehouseUnderTest, warehouseUnderTest } from '../warehouse-under-test.ts'

const folder = '/Volumes/c/s/v/staging'

interface StagingUnderTest extends WarehouseUnderTest {
  readonly staging: VolumeStaging
  /** A local file with this content. */
  local(content: string | Buffer): Promise<string>
}

interface Way {
  readonly name: string
  readonly open: (of: WarehouseUnderTest) => VolumeStaging
  /** The route of an upload. */
  readonly upload: RegExp
}

const statements: Way = {
  name: 'statements',
  open: ({ warehouse }) => new SqlVolumeStaging({ folder, warehouse }),
  upload: /^PUT \/staging\//,
}

const filesApi: Way = {
  name: 'the Files API',
  open: ({ workspace, clock, retries }) =>
    new FilesApiStaging({
      folder,
      http: new WorkspaceHttp({ address: addressOf(workspace), clock, idleMs: 1000 }),
      tokens: tokenOf(workspace),
      clock,
      retry: { policy: { maxAttempts: 8 }, onRetry: (event) => void retries.push(event) },
    }),
  upload: /^PUT \/api\/2\.0\/fs\/files\//,
}

for (const way of [statements, filesApi]) {
  const by = `by ${way.name}`

  test(`an uploaded file is there with its bytes, and replaces one of its name, ${by}`, async (t) => {
    const { staging, files, local } = await stagingUnderTest(t, way)
    await staging.put('day/a.parquet', await local('one'))
    await staging.put('day/a.parquet', await local('another'))
    assert.equal(String(await files.read(`${folder}/day/a.parquet`)), 'another')
    assert.equal(await staging.sizeOf('day/a.parquet'), 7)
  })

  test(`an empty file and one of some megabytes arrive whole, ${by}`, async (t) => {
    const { staging, files, local } = await stagingUnderTest(t, way)
    const much = Buffer.alloc(5_000_000, 'abcdefg')
    await staging.put('much', await local(much))
    await staging.put('none', await local(''))
    assert.ok(much.equals((await files.read(`${folder}/much`))!))
    assert.equal(await staging.sizeOf('none'), 0)
  })

  test(`a missing file has no size, is not listed, and its removal succeeds, ${by}`, async (t) => {
    const { staging } = await stagingUnderTest(t, way)
    assert.equal(await staging.sizeOf('day/a'), undefined)
    assert.equal(await staging.sizeOf('a'), undefined)
    assert.deepEqual(await staging.list('day'), { files: [], folders: [] })
    assert.deepEqual(await staging.list(''), { files: [], folders: [] })
    await staging.remove('day/a')
  })

  test(`a listing has the files and folders right in a folder, by names below the staging folder, ${by}`, async (t) => {
    const { staging, local } = await stagingUnderTest(t, way)
    for (const name of ['a', 'day/b', 'day/c', 'day/hour/d']) await staging.put(name, await local(name))
    const modifiedAtMs = Date.UTC(2026, 10, 24)
    assert.deepEqual(await staging.list(''), {
      files: [{ name: 'a', bytes: 1, modifiedAtMs }],
      folders: ['day'],
    })
    assert.deepEqual(await staging.list('day'), {
      files: [
        { name: 'day/b', bytes: 5, modifiedAtMs },
        { name: 'day/c', bytes: 5, modifiedAtMs },
      ],
      folders: ['day/hour'],
    })
    await staging.remove('day/b')
    assert.equal(await staging.sizeOf('day/b'), undefined)
    assert.equal(await staging.sizeOf('day/c'), 5)
  })

  test(`a listing of more than one page is whole, ${by}`, async (t) => {
    const { staging, files } = await stagingUnderTest(t, way)
    const names = Array.from({ length: 2500 }, (_, index) => `many/${String(index).padStart(5, '0')}`)
    for (const name of names) await files.write(`${folder}/${name}`, Buffer.alloc(1))
    const listed = await staging.list('many')
    assert.deepEqual(
      listed.files.map(({ name }) => name),
      names,
    )
  })

  test(`an upload that breaks off, is refused for now, or whose answer is lost is sent again, ${by}`, async (t) => {
    const { staging, files, local, workspace, retries } = await stagingUnderTest(t, way)
    const content = Buffer.alloc(300_000, 'x')
    const faults = [
      { kind: 'cut-upload', afterBytes: 100_000 },
      { kind: 'status', status: 503 },
      { kind: 'drop-before' },
      { kind: 'drop-after' },
    ] as const
    for (const fault of faults) workspace.faults.add({ route: way.upload, fault })
    await staging.put('a', await local(content))
    assert.ok(content.equals((await files.read(`${folder}/a`))!))
    assert.ok(retries.length >= faults.length)
  })

  test(`an upload that is never answered is given up in time and sent again, ${by}`, async (t) => {
    const { staging, files, local, retries } = await stagingUnderTest(t, way)
    const write = files.write.bind(files)
    let writes = 0
    files.write = async (path, content) => {
      writes += 1
      if (writes === 1) await eventually(async () => retries.length > 0, 'retry')
      await write(path, content)
    }
    await staging.put('a', await local('content'))
    assert.equal(writes, 2)
  })

  test(`an upload that may not be is denied at once, ${by}`, async (t) => {
    const { staging, local, workspace, retries } = await stagingUnderTest(t, way)
    workspace.faults.add({ route: way.upload, fault: { kind: 'status', status: 403 }, times: 9 })
    await assert.rejects(staging.put('a', await local('content')), { code: 'WAREHOUSE_DENIED' })
    assert.equal(retries.length, 0)
  })

  test(`a missing local file is reported, and ends neither the process nor the staging, ${by}`, async (t) => {
    const { staging, local } = await stagingUnderTest(t, way)
    const path = await local('content')
    await rm(path)
    await assert.rejects(staging.put('a', path), { code: 'ENOENT' })
    await staging.put('a', await local('content'))
  })

  test(`a name that could leave the folder or a statement is refused before anything is sent, ${by}`, async (t) => {
    const { staging, local, workspace } = await stagingUnderTest(t, way)
    const path = await local('content')
    const asked = workspace.log.requests.length
    for (const name of [
      '',
      '..',
      '../a',
      'a/../b',
      '.',
      '/a',
      'a/',
      'a//b',
      "a'b",
      'a\\b',
      'a b',
      'ä',
      'a\n',
      'a?b',
      'a%2fb',
    ]) {
      await assert.rejects(staging.put(name, path), { code: 'CONFIG_INVALID' }, name)
      await assert.rejects(staging.sizeOf(name), { code: 'CONFIG_INVALID' }, name)
      await assert.rejects(staging.remove(name), { code: 'CONFIG_INVALID' }, name)
      if (name !== '') await assert.rejects(staging.list(name), { code: 'CONFIG_INVALID' }, name)
    }
    assert.equal(workspace.log.requests.length, asked)
  })

  test(`a folder outside of a volume is refused, ${by}`, async (t) => {
    const under = await stagingUnderTest(t, way)
    for (const path of [
      '/Volumes/c/s',
      '/dbfs/c/s/v',
      "/Volumes/c/s/v'",
      '/Volumes/c/s/../v',
      'Volumes/c/s/v',
    ]) {
      const http = new WorkspaceHttp({ address: addressOf(under.workspace), clock: under.clock })
      const { warehouse, workspace, clock } = under
      const open = [
        () => new SqlVolumeStaging({ folder: path, warehouse }),
        () => new FilesApiStaging({ folder: path, http, tokens: tokenOf(workspace), clock }),
      ]
      for (const one of open) assert.throws(one, { code: 'CONFIG_INVALID' }, path)
    }
  })
}

test('a local path that a statement cannot carry is refused', async (t) => {
  const { staging } = await stagingUnderTest(t, statements)
  for (const path of ["/tmp/it's", '/tmp/a\\b', ['/tmp/$', '{user}'].join(''), '/tmp/a\nb'])
    await assert.rejects(staging.put('a', path), { code: 'CONFIG_INVALID' }, path)
})

test('the Files API is asked with a new token when the old one is refused', async (t) => {
  const under = await warehouseUnderTest(t)
  const { workspace, clock } = under
  const http = new WorkspaceHttp({ address: addressOf(workspace), clock })
  t.after(() => http.close())
  const staging = new FilesApiStaging({
    folder,
    http,
    tokens: {
      token: async ({ rejected } = {}) => ({
        value: rejected === 'ended' ? workspace.tokens.personal : 'ended',
        expiresAtMs: undefined,
      }),
    },
    clock,
  })
  await staging.remove('a')
})

async function stagingUnderTest(t: TestContext, way: Way): Promise<StagingUnderTest> {
  const under = await warehouseUnderTest(t, { requestMs: 1500 })
  const { engine, files } = under
  engine.on(/^LIST '/, async (_context, statement) => {
    const path = /^LIST '(.+)'(?: LIMIT \d+)?$/.exec(statement)![1]!
    const entries = directoryEntries(path, await files.list(path), [])
    if (entries.length === 0) throw new SqlFailure('PATH_NOT_FOUND', '42K03', `Path does not exist: ${path}.`)
    return {
      kind: 'rows',
      columns: [
        { name: 'path', type: 'STRING' },
        { name: 'name', type: 'STRING' },
        { name: 'size', type: 'BIGINT' },
        { name: 'modification_time', type: 'BIGINT' },
      ],
      rows: entries.map(({ path, name, is_directory, file_size = 0, last_modified = 0 }) => [
        path,
        is_directory ? `${name}/` : name,
        BigInt(file_size),
        BigInt(last_modified),
      ]),
    }
  })
  const directory = await temporaryDirectory(t)
  let made = 0
  const local = async (content: string | Buffer): Promise<string> => {
    const path = join(directory, `local-${++made}`)
    await writeFile(path, content)
    return path
  }
  return { ...under, staging: way.open(under), local }
}

test('a file that is stored with another length is no success, by the Files API', async (t) => {
  const { staging, local, files } = await stagingUnderTest(t, filesApi)
  const write = files.write.bind(files)
  files.write = (path) => write(path, Buffer.from('cut'))
  await assert.rejects(staging.put('a', await local('content')), {
    code: 'WAREHOUSE_UNAVAILABLE',
    message: /expected 7 bytes, found 3 bytes/,
  })
})
