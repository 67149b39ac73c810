import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import { gzipSync } from 'node:zlib'
import { jsonlogLine, linesAsBytes } from '../support/log-lines.ts'
import { runTailrace, startTailrace } from '../support/run-tailrace.ts'
import { skipUnless } from '../support/skip-unless.ts'
import { startStorage } from '../support/storage.ts'
import { projectRoot } from '../support/tailrace-process.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { noTerminalReason, startOnTerminal } from '../support/terminal-process.ts'
import { writeProject } from '../support/test-project.ts'

const transforms = `[
  (record) => record.message === 'drop' ? null : record.message === 'fail' ? (() => { throw new Error('on purpose') })() : record,
  (record) => record.message === 'change' ? { ...record, message: 'changed' } : record,
]`

test('init writes a config that runs, asks nothing without a terminal, and replaces no file unless told to', async (t) => {
  const cwd = await temporaryDirectory(t)
  const written = await runTailrace(t, ['init'], { cwd })
  assert.equal(written.code, 0, written.stderr)
  // As a user does, because the config imports the package by its name.
  const command = [join(projectRoot, 'bin', 'tailrace.js'), 'check', '--offline']
  const checked = execFileSync(process.execPath, command, { cwd, encoding: 'utf8' })
  assert.match(
    checked,
    /^primary: 0 transforms, \d+ columns of lakehouse\.postgres\.primary_logs; a usual record becomes 1 row\n$/,
  )
  const again = await runTailrace(t, ['init'], { cwd })
  assert.equal(again.code, 2)
  assert.match(again.stderr, /pipeline\.config\.ts exists already/)
  const other = [
    'init',
    '--force',
    '--storage',
    'account',
    '--account',
    "a'b",
    '--blobs',
    'pg/',
    '--pipeline',
    'pg-1',
  ]
  assert.equal((await runTailrace(t, other, { cwd })).code, 0)
  const text = await readFile(join(cwd, 'pipeline.config.ts'), 'utf8')
  assert.match(text, /account: 'a\\'b' \}/)
  assert.match(text, /'pg-1': \{[\s\S]*blobs: 'pg\/'[\s\S]*lakehouse\.postgres\.pg_1_logs/)
  const missing = await runTailrace(t, ['init', '--file', 'x.ts', '--storage', 'account'], { cwd })
  assert.match(missing.stderr, /--account is missing\./)
})

test('init asks on a terminal', { skip: skipUnless(noTerminalReason) }, async (t) => {
  const file = join(await temporaryDirectory(t), 'asked.config.ts')
  const session = startOnTerminal(t, ['init', '--file', file])
  for (const [question, answer] of [
    [/Where are the logs/, 'connection-string'],
    [/Container\?/, 'pg-logs'],
    [/Blobs:/, ''],
    [/Name of the pipeline\?/, 'replica'],
    [/Table,/, ''],
    [/Directory of the tables\?/, ''],
  ] as const) {
    await session.until(question)
    session.type(`${answer}\r`)
  }
  assert.equal(await session.exited, 0)
  const text = await readFile(file, 'utf8')
  assert.match(
    text,
    /kind: 'connection-string'[\s\S]*container: 'pg-logs',\n.*blobs: 'primary\/'[\s\S]*lakehouse\.postgres\.replica_logs/,
  )
})

test('check --offline sends no request, and finds transforms that reject usual records', async (t) => {
  const storage = {
    kind: 'connection-string',
    connectionString:
      'DefaultEndpointsProtocol=http;AccountName=a;AccountKey=YQ==;BlobEndpoint=http://127.0.0.1:1/a;',
  } as const
  const good = await writeProject(await temporaryDirectory(t), {
    storage,
    pipelines: { pg: { blobs: 'pg/' } },
    transforms,
  })
  const run = await runTailrace(t, ['check', '--offline', '--config', good.configPath])
  assert.equal(run.code, 0, run.stderr)
  assert.match(run.stdout, /^pg: 2 transforms, .* a usual record becomes 1 row\n$/)
  const bad = await writeProject(await temporaryDirectory(t), {
    storage,
    pipelines: { pg: { blobs: 'pg/' } },
    transforms: "[() => { throw new Error('broken') }]",
  })
  const failed = await runTailrace(t, ['check', '--offline', '--config', bad.configPath])
  assert.equal(failed.code, 1)
  assert.match(failed.stdout, /a usual record is rejected: .*broken/)
})

test('test cases are compared by the columns they name, and reported as TAP and JUnit', async (t) => {
  const directory = await temporaryDirectory(t)
  const { configPath } = await writeProject(directory, {
    storage: { kind: 'embedded' },
    pipelines: { pg: { blobs: 'pg' } },
    transforms,
  })
  const cases = join(directory, 'cases')
  await mkdir(join(cases, 'pg'), { recursive: true })
  const write = (name: string, lines: readonly string[]) =>
    writeFile(join(cases, 'pg', name), lines.map((line) => `${line}\n`).join(''))
  await write(
    'good.input.ndjson',
    ['change', 'drop', 'keep'].map((message, index) => jsonlogLine(index, message)),
  )
  await write('good.expected.ndjson', [
    '{"message":"changed","severity":"LOG","line_num":1,"parse_status":"ok"}',
    '{"message":"keep","db_name":"shop","detail":null}',
  ])
  await write('wrong.input.ndjson', [jsonlogLine(0, 'keep'), 'no JSON'])
  await write('wrong.expected.ndjson', ['{"message":"keep"}', '{"parse_status":"ok"}'])
  const junit = join(directory, 'report.xml')
  const run = await runTailrace(t, ['test', cases, '--junit', junit, '--config', configPath])
  assert.equal(run.code, 1, run.stderr)
  assert.deepEqual(run.stdout.split('\n').slice(0, 4), [
    'TAP version 14',
    '1..2',
    'ok 1 - pg/good',
    'not ok 2 - pg/wrong',
  ])
  assert.match(run.stdout, /message: "row 2, parse_status: found \\"rejected\\", expected \\"ok\\""/)
  const report = await readFile(junit, 'utf8')
  assert.match(report, /<testsuite name="tailrace" tests="2" failures="1">/)
  assert.match(report, /<testcase classname="pg" name="wrong" time="[\d.]+"><failure message="row 2, /)

  const updated = await runTailrace(t, ['test', cases, '--update', '--config', configPath])
  assert.equal(updated.code, 0, updated.stdout)
  assert.match(
    await readFile(join(cases, 'pg', 'wrong.expected.ndjson'), 'utf8'),
    /\n\{.*"parse_status":"rejected".*\}\n$/,
  )
  const none = await runTailrace(t, ['test', join(cases, 'pg'), '--config', configPath])
  assert.equal(none.code, 2)
  assert.match(none.stderr, /There is no test case in/)
})

test('tap shows lines before and after the transforms, and why one is dropped or rejected', async (t) => {
  const storage = await startStorage(t)
  const lines = ['keep', 'change', 'drop', 'fail'].map((message, index) => jsonlogLine(index, message))
  await storage.append('pg/1', linesAsBytes([...lines, 'no JSON', '']))
  const { configPath } = await writeProject(await temporaryDirectory(t), {
    storage: { kind: 'connection-string', connectionString: storage.connectionString },
    pipelines: { pg: { blobs: 'pg/' } },
    transforms,
  })
  const run = await runTailrace(t, ['tap', '--pipeline', 'pg', '--json', '--config', configPath])
  assert.equal(run.code, 0, run.stderr)
  const shown = run.stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
  assert.deepEqual(
    shown.map(({ outcome }) => outcome),
    ['kept', 'changed', 'dropped', 'rejected', 'rejected'],
  )
  assert.equal(shown[1].offset, Buffer.byteLength(lines[0] ?? '') + 1)
  assert.match(shown[1].after[0], /"message":"changed"/)
  assert.match(shown[3].why, /^transform_error: .*on purpose/)
  assert.match(shown[4].why, /^not_json/)
  const text = await runTailrace(t, ['tap', '--pipeline', 'pg', '--limit', '3', '--config', configPath])
  assert.match(text.stdout, /\nlogs\/pg\/1 @ \d+: dropped, a transform returned no record\n/)
  assert.match(text.stdout, /\n3 lines of pg\/1: 1 kept, 1 changed, 1 dropped, 0 rejected\n$/)
})

test('tap reads blobs of gzip members and of documents as a run does, up to their last complete unit', async (t) => {
  const storage = await startStorage(t)
  const records = ['keep', 'change', 'drop'].map((message, index) => jsonlogLine(index, message))
  const member = gzipSync(linesAsBytes(records))
  await storage.append('gzip', Buffer.concat([gzipSync(linesAsBytes([jsonlogLine(9, 'old')])), member]))
  // What a run would not land yet is not shown.
  await storage.append('gzip', member.subarray(0, 20))
  const pretty = records.map((record) => JSON.stringify(JSON.parse(record), null, 2))
  await storage.append('documents', `{"records":[${pretty.join(',')}]}\n{"records":[${records[0]}`)
  const { configPath } = await writeProject(await temporaryDirectory(t), {
    storage: { kind: 'connection-string', connectionString: storage.connectionString },
    pipelines: { gzip: { blobs: 'gzip' }, documents: { blobs: 'documents' } },
    transforms,
  })
  for (const pipeline of ['gzip', 'documents']) {
    const args = ['tap', '--pipeline', pipeline, '--config', configPath]
    const run = await runTailrace(t, [...args, '--json', '--limit', '3'])
    assert.equal(run.code, 0, run.stderr)
    const shown = run.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
    const outcomes = shown.map(({ outcome, before }) => [outcome, JSON.parse(before).message])
    assert.deepEqual(outcomes, [
      ['kept', 'keep'],
      ['changed', 'change'],
      ['dropped', 'drop'],
    ])
    const there = pipeline === 'gzip' ? 4 : 3
    const following = startTailrace(t, [...args, '--json', '--follow', '--limit', `${there + 1}`])
    await following.until(
      () => following.stdout.split('\n').length === there + 1,
      'the records that are there',
    )
    // The unit that was not complete is completed.
    await storage.append(pipeline, pipeline === 'gzip' ? member.subarray(20) : ']}\n')
    assert.equal((await following.exited).code, 0, following.stderr)
    const [line] = following.stdout.trimEnd().split('\n').slice(there)
    assert.equal(JSON.parse(JSON.parse(line ?? '').before).message, 'keep')
  }
})

test('tap --follow shows the elements that are inserted into a document, once each', async (t) => {
  const storage = await startStorage(t)
  const record = (index: number) => jsonlogLine(index, `record ${index}`)
  const blob = storage.container.getBlockBlobClient('documents')
  const write = (...indexes: number[]) => {
    const text = `{"records":[${indexes.map(record).join(',')}]}`
    return blob.upload(text, Buffer.byteLength(text))
  }
  await write(0, 1)
  const { configPath } = await writeProject(await temporaryDirectory(t), {
    storage: { kind: 'connection-string', connectionString: storage.connectionString },
    pipelines: { documents: { blobs: 'documents' } },
  })
  const args = [
    'tap',
    '--pipeline',
    'documents',
    '--config',
    configPath,
    '--json',
    '--follow',
    '--limit',
    '4',
  ]
  const following = startTailrace(t, args)
  await following.until(() => following.stdout.split('\n').length === 3, 'the records that are there')
  await write(0, 1, 2)
  await following.until(() => following.stdout.split('\n').length === 4, 'the new record')
  await write(0, 1, 2, 3)
  assert.equal((await following.exited).code, 0, following.stderr)
  const messages = following.stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(JSON.parse(line).before).message)
  assert.deepEqual(messages, ['record 0', 'record 1', 'record 2', 'record 3'])
})
