import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { request as httpsRequest } from 'node:https'
import { join } from 'node:path'
import { test } from 'node:test'
import { SqlFailure } from '../../../doubles/workspace/warehouse-engine.ts'
import { eventually } from '../../support/eventually.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'
import { ManualClock } from './manual-clock.ts'
import { ask, workspaceUnderTest } from './workspace-under-test.ts'

const volume = '/Volumes/c/s/v'
const filesRoot = '/api/2.0/fs/files'
const directoriesRoot = '/api/2.0/fs/directories'

test('PUT and REMOVE bring files into a volume and out of it', async (t) => {
  const { client, files, workspace } = await workspaceUnderTest(t)
  const stagingAllowedLocalPath = await temporaryDirectory(t)
  const local = join(stagingAllowedLocalPath, 'a.parquet')
  const content = Buffer.alloc(300_000, 'žluť')
  await writeFile(local, content)
  const session = await client.openSession()
  const stage = (statement: string) => session.executeStatement(statement, { stagingAllowedLocalPath })
  await stage(`PUT '${local}' INTO '${volume}/x/a.parquet'`)
  assert.deepEqual(await files.read(`${volume}/x/a.parquet`), content)
  assert.deepEqual(workspace.log.uploads, [
    { by: 'presigned-url', volumePath: `${volume}/x/a.parquet`, bytes: 300_000 },
  ])
  await assert.rejects(stage(`PUT '${local}' INTO '${volume}/x/a.parquet'`), {
    errorCode: 'ERROR',
    message: /^\[FILE_ALREADY_EXISTS\]/,
  })
  await stage(`PUT '${local}' INTO '${volume}/x/a.parquet' OVERWRITE`)
  assert.equal(workspace.log.uploadedBytes, 600_000)
  await stage(`REMOVE '${volume}/x/a.parquet'`)
  assert.equal(await files.read(`${volume}/x/a.parquet`), undefined)
  await stage(`REMOVE '${volume}/x/a.parquet'`)
})

test('a presigned URL allows one operation on one file for a quarter of an hour, of a whole blob', async (t) => {
  const clock = new ManualClock()
  const { client, workspace, files } = await workspaceUnderTest(t, { clock })
  const session = await client.openSession()
  const operation = await session.executeStatement(`PUT 'a' INTO '${volume}/a'`)
  const [row] = (await operation.fetchAll()) as { presignedUrl: string; headers: Record<string, string> }[]
  const { pathname, search } = new URL(row!.presignedUrl)
  assert.deepEqual(row!.headers, { 'x-ms-blob-type': 'BlockBlob' })
  const put = { headers: row!.headers, body: 'x' }
  assert.equal((await ask(workspace, 'PUT', pathname, put)).status, 403)
  assert.equal((await ask(workspace, 'GET', pathname + search)).status, 403)
  assert.equal((await ask(workspace, 'PUT', pathname + search, { body: 'x' })).status, 400)
  const chunked = { headers: { ...row!.headers, 'transfer-encoding': 'chunked' }, body: 'x' }
  assert.equal((await ask(workspace, 'PUT', pathname + search, chunked)).status, 411)
  assert.equal(await files.read(`${volume}/a`), undefined)
  assert.equal((await ask(workspace, 'PUT', pathname + search, put)).status, 201)
  clock.advance(15 * 60_000)
  assert.equal((await ask(workspace, 'PUT', pathname + search, put)).status, 403)
})

test('the Files API writes, tells, reads and deletes files', async (t) => {
  const { workspace } = await workspaceUnderTest(t)
  const path = `${filesRoot}${volume}/x/a%20b`
  const body = Buffer.from([0, 1, 255])
  assert.equal((await ask(workspace, 'PUT', `${path}?overwrite=false`, { body })).status, 204)
  const again = await ask(workspace, 'PUT', `${path}?overwrite=false`, { body: 'other' })
  assert.equal(again.status, 409)
  assert.equal(JSON.parse(again.body.toString()).error_code, 'ALREADY_EXISTS')
  const head = await ask(workspace, 'HEAD', path)
  assert.deepEqual([head.status, head.headers['content-length']], [200, '3'])
  assert.equal(head.headers['last-modified'], 'Tue, 24 Nov 2026 00:00:00 GMT')
  assert.deepEqual((await ask(workspace, 'GET', path)).body, body)
  assert.equal((await ask(workspace, 'PUT', path, { body: 'new' })).status, 204)
  assert.equal((await ask(workspace, 'GET', path)).body.toString(), 'new')
  assert.equal((await ask(workspace, 'DELETE', path)).status, 204)
  for (const method of ['GET', 'HEAD', 'DELETE']) {
    assert.equal((await ask(workspace, method, path)).status, 404, method)
  }
  assert.equal(JSON.parse((await ask(workspace, 'GET', path)).body.toString()).error_code, 'NOT_FOUND')
  assert.equal((await ask(workspace, 'PUT', `${filesRoot}/Volumes/c/s/v`, { body })).status, 400)
  assert.equal((await ask(workspace, 'PUT', `${filesRoot}${volume}/a%2f..%2fb`, { body })).status, 400)
})

test('of two uploads that must not overwrite, one finds the other', async (t) => {
  const { workspace, files } = await workspaceUnderTest(t)
  let looks = 0
  const [read, write] = [files.read.bind(files), files.write.bind(files)]
  files.read = (path) => {
    looks += 1
    return read(path)
  }
  files.write = async (path, content) => {
    // The other request is here, and has had the time to look for the file while it is being written.
    await eventually(async () => workspace.log.requests.length === 2, 'second request')
    for (let turns = 0; turns < 100 && looks < 2; turns += 1)
      await new Promise((resolve) => setImmediate(resolve))
    await write(path, content)
  }
  const put = (body: string) => ask(workspace, 'PUT', `${filesRoot}${volume}/a?overwrite=false`, { body })
  const answers = await Promise.all([put('one'), put('other')])
  assert.deepEqual(answers.map(({ status }) => status).sort(), [204, 409])
})

test('a directory is listed in pages, with the directories in it', async (t) => {
  const { workspace } = await workspaceUnderTest(t)
  for (const name of ['b', 'a', 'x/deep/c']) {
    await ask(workspace, 'PUT', `${filesRoot}${volume}/${name}`, { body: name })
  }
  assert.equal((await ask(workspace, 'PUT', `${directoriesRoot}${volume}/made/`)).status, 204)
  const page = async (query: string) =>
    JSON.parse((await ask(workspace, 'GET', `${directoriesRoot}${volume}/?${query}`)).body.toString())
  const first = await page('page_size=3')
  const second = await page(`page_size=3&page_token=${first.next_page_token}`)
  assert.equal(second.next_page_token, undefined)
  const last_modified = Date.UTC(2026, 10, 24)
  assert.deepEqual(
    [...first.contents, ...second.contents],
    [
      { path: `${volume}/a`, name: 'a', is_directory: false, file_size: 1, last_modified },
      { path: `${volume}/b`, name: 'b', is_directory: false, file_size: 1, last_modified },
      { path: `${volume}/made`, name: 'made', is_directory: true },
      { path: `${volume}/x`, name: 'x', is_directory: true },
    ],
  )
  const status = async (method: string, path: string) =>
    (await ask(workspace, method, `${directoriesRoot}${volume}/${path}`)).status
  assert.deepEqual(
    [await status('GET', 'none'), await status('HEAD', 'none'), await status('HEAD', 'x')],
    [404, 404, 200],
  )
  assert.deepEqual([await status('DELETE', 'x'), await status('DELETE', 'made')], [400, 204])
  assert.equal(await status('GET', 'made'), 404)
})

test('a volume that is not there is not found', async (t) => {
  const { workspace, files } = await workspaceUnderTest(t)
  files.write = async () => {
    throw new SqlFailure('UC_VOLUME_NOT_FOUND', '42704', 'There is no such volume.')
  }
  const answer = await ask(workspace, 'PUT', `${filesRoot}${volume}/a`, { body: 'x' })
  assert.equal(answer.status, 404)
  assert.equal(JSON.parse(answer.body.toString()).error_code, 'NOT_FOUND')
  assert.deepEqual(workspace.log.failures, [])
})

test('a file of which the client sends only a part does not appear', async (t) => {
  const { workspace, files } = await workspaceUnderTest(t)
  const { host, port, ca, tokens } = workspace
  const headers = { authorization: `Bearer ${tokens.personal}`, 'content-length': '1000' }
  const request = httpsRequest({
    host,
    port,
    ca,
    method: 'PUT',
    path: `${filesRoot}${volume}/a`,
    headers,
    agent: false,
  })
  request.write(Buffer.alloc(999), () => request.destroy())
  request.on('error', () => {})
  await new Promise((resolve) => request.on('close', resolve))
  // The server has seen the end of that connection before it answers on a new one to what came after it.
  assert.equal((await ask(workspace, 'HEAD', `${filesRoot}${volume}/a`)).status, 404)
  assert.equal(await files.read(`${volume}/a`), undefined)
  assert.deepEqual([workspace.log.uploads, workspace.log.failures], [[], []])
})
