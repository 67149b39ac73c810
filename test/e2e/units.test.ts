import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { gzipSync } from 'node:zlib'
import type { Manifest, Unit } from '../../src/run/units/unit-files.ts'
import { assertLandedOnce } from '../support/landed-once.ts'
import { jsonlogLine, linesAsBytes } from '../support/log-lines.ts'
import { runTailrace, startTailrace, type TailraceRun } from '../support/run-tailrace.ts'
import { startStorage, type TestStorage } from '../support/storage.ts'
import { readTable } from '../support/table-rows.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { type TestProject, writeProject } from '../support/test-project.ts'

let line = 0
const lines = (count: number): Buffer =>
  linesAsBytes(Array.from({ length: count }, () => jsonlogLine(line++)))

interface Setup {
  readonly storage: TestStorage
  readonly project: TestProject
  readonly directory: string
  run(...args: readonly string[]): Promise<TailraceRun>
  plan(...args: readonly string[]): Promise<readonly Unit[]>
  /** Writes a unit and returns the path of its manifest. */
  write(unit: Unit, name?: string): Promise<string>
}

async function setUp(t: TestContext): Promise<Setup> {
  const storage = await startStorage(t)
  const directory = await temporaryDirectory(t)
  const project = await writeProject(directory, {
    storage: { kind: 'connection-string', connectionString: storage.connectionString },
    pipelines: { primary: { blobs: 'p/', discoverMs: 100, maxPollMs: 100 } },
  })
  const config = ['--config', project.configPath]
  const run: Setup['run'] = (...args) => runTailrace(t, [...args, ...config])
  let written = 0
  const write: Setup['write'] = async (unit, name = `manifest-${++written}`) => {
    const [unitPath, manifestPath] = [join(directory, `${name}.unit`), join(directory, `${name}.json`)]
    await writeFile(unitPath, JSON.stringify(unit))
    const { code, stderr } = await run('write', '--unit', unitPath, '--manifest', manifestPath)
    assert.equal(code, 0, stderr)
    return manifestPath
  }
  return {
    storage,
    project,
    directory,
    run,
    write,
    plan: async (...args) => {
      const { code, stdout, stderr } = await run('plan', '--json', ...args)
      assert.equal(code, 0, stderr)
      return (JSON.parse(stdout) as { units: Unit[] }).units
    },
  }
}

async function assertComplete({ storage, project, run }: Setup, names: readonly string[]): Promise<void> {
  const rows = await readTable(project.tableDirectory('primary'))
  for (const name of names) assertLandedOnce(name, await storage.content(name), rows)
  const { code, stdout } = await run('verify')
  assert.equal(code, 0, stdout)
}

test('units cover everything once: small blobs together, a large one cut at line starts, gzip whole', async (t) => {
  const setup = await setUp(t)
  const { storage, plan, run, write, project } = setup
  const small = Array.from({ length: 12 }, (_, index) => `p/small-${index}.json`)
  for (const name of small) await storage.append(name, lines(10))
  for (let part = 0; part < 3; part += 1) await storage.append('p/large.json', lines(8_000))
  const zipped = Array.from({ length: 3_000 }, () => jsonlogLine(line++))
  await storage.append('p/zipped.gz', gzipSync(linesAsBytes(zipped)))
  // An open line at a blob's end is in no unit: it has not landed.
  await storage.append(small[0]!, 'no newline yet')

  const units = await plan('--unit-mib', '2')
  const spans = units.flatMap((unit) => unit.spans)
  const large = spans.filter(({ blob }) => blob === 'logs/p/large.json')
  assert.ok(large.length >= 3, JSON.stringify(large))
  const content = await storage.content('p/large.json')
  for (const [index, { start }] of large.entries()) {
    assert.equal(start, index === 0 ? 0 : large[index - 1]!.end)
    if (index > 0) assert.equal(content[start - 1], 0x0a)
  }
  assert.equal(spans.filter(({ blob }) => blob === 'logs/p/zipped.gz').length, 1)
  assert.ok(units.length < spans.length, 'small blobs share a unit')

  const manifests: string[] = []
  // In any order, and two at a time.
  for (let index = 0; index < units.length; index += 2)
    manifests.push(...(await Promise.all(units.slice(index, index + 2).map((unit) => write(unit)))))
  assert.equal((await readTable(project.tableDirectory('primary'))).length, 0, 'nothing is visible yet')

  const committed = await run('commit', ...manifests.reverse())
  assert.equal(committed.code, 0, committed.stderr)
  const receipt = JSON.parse(committed.stdout) as Record<string, unknown>
  assert.deepEqual(
    [receipt.landed, receipt.landedBefore, receipt.refused, receipt.rows],
    [units.length, 0, [], 12 * 10 + 3 * 8_000 + 3_000],
  )
  await assertComplete(setup, [...small, 'p/large.json'])
  assert.deepEqual(
    (await plan()).flatMap((unit) => unit.spans).map(({ blob }) => blob),
    [`logs/${small[0]}`],
  )

  const again = await run('commit', ...manifests)
  assert.equal(again.code, 0, again.stderr)
  const skipped = JSON.parse(again.stdout) as Record<string, unknown>
  assert.deepEqual(
    [skipped.landed, skipped.landedBefore, skipped.tableVersion],
    [0, units.length, receipt.tableVersion],
  )
})

test('a zombie’s and a speculative copy of a unit land once, whichever is committed first', async (t) => {
  const setup = await setUp(t)
  const { storage, plan, run, write } = setup
  await storage.append('p/a.json', lines(50))
  const [unit] = await plan()
  const [first, copy] = await Promise.all([write(unit!), write(unit!)])
  const both = await run('commit', first, copy)
  assert.equal(both.code, 0, both.stderr)
  const { landed, landedBefore } = JSON.parse(both.stdout) as Record<string, unknown>
  assert.deepEqual([landed, landedBefore], [1, 1])
  const zombie = await write(unit!)
  const late = await run('commit', zombie)
  assert.equal(late.code, 0, late.stderr)
  await assertComplete(setup, ['p/a.json'])
})

test('a gap is refused by name while other units land, and the missing unit closes it', async (t) => {
  const setup = await setUp(t)
  const { storage, plan, run, write, directory } = setup
  for (let part = 0; part < 3; part += 1) await storage.append('p/large.json', lines(8_000))
  await storage.append('p/other.json', lines(5))
  const units = await plan('--unit-mib', '2')
  assert.ok(units.length >= 3)
  const manifests: string[] = []
  for (const unit of units) manifests.push(await write(unit))
  const withGap = await run('commit', ...manifests.filter((_, index) => index !== 1))
  assert.equal(withGap.code, 1)
  assert.match(
    withGap.stderr,
    /UNIT_REFUSED: logs\/p\/large\.json@\w+ is landed to \d+.*the bytes between have not landed/,
  )
  const rest = await run('commit', directory)
  assert.equal(rest.code, 0, rest.stderr)
  await assertComplete(setup, ['p/large.json', 'p/other.json'])
})

test('a unit of which a running pipeline has landed a part is refused, and nothing is doubled', async (t) => {
  const setup = await setUp(t)
  const { storage, plan, run, write } = setup
  await storage.append('p/a.json', lines(20))
  await storage.append('p/b.json', lines(20))
  const [unit] = await plan()
  const manifest = await write(unit!)
  const [only] = unit!.spans
  const onlyFirst = await write({ ...unit!, spans: [only!] })
  assert.equal((await run('commit', onlyFirst)).code, 0)
  const refused = await run('commit', manifest)
  assert.equal(refused.code, 1)
  assert.match(refused.stderr, /this range has landed, and another one of the unit has not/)
  assert.equal((await run('start', '--once')).code, 0)
  assert.equal((await run('commit', manifest)).code, 0)
  await assertComplete(setup, ['p/a.json', 'p/b.json'])
})

test('a worker killed at any time leaves nothing visible, and its unit is written again', async (t) => {
  const setup = await setUp(t)
  const { storage, project, plan, run, write, directory } = setup
  for (let part = 0; part < 2; part += 1) await storage.append('p/a.json', lines(8_000))
  const [unit] = await plan()
  const unitPath = join(directory, 'killed.unit')
  await writeFile(unitPath, JSON.stringify(unit))
  for (const afterMs of [300, 700, 1_100, 1_500, 2_000]) {
    const worker = startTailrace(t, [
      ...['write', '--unit', unitPath, '--manifest', join(directory, `killed-${afterMs}.json`)],
      ...['--config', project.configPath],
    ])
    await new Promise((resolve) => setTimeout(resolve, afterMs))
    worker.kill('SIGKILL')
    await worker.exited
  }
  assert.equal((await readTable(project.tableDirectory('primary'))).length, 0)
  const manifest = await write(unit!)
  assert.equal((await run('commit', manifest)).code, 0)
  await assertComplete(setup, ['p/a.json'])
})

test('a unit whose blob was replaced after the plan is refused before anything is stored', async (t) => {
  const { storage, plan, run, directory } = await setUp(t)
  await storage.append('p/a.json', lines(20))
  const [unit] = await plan()
  await storage.container.getAppendBlobClient('p/a.json').delete()
  await new Promise((resolve) => setTimeout(resolve, 1_100))
  await storage.container.getAppendBlobClient('p/a.json').create()
  await storage.append('p/a.json', lines(30))
  const path = join(directory, 'old.unit')
  await writeFile(path, JSON.stringify(unit))
  const refused = await run('write', '--unit', path, '--manifest', '-')
  assert.equal(refused.code, 1)
  assert.match(refused.stderr, /UNIT_REFUSED.*logs\/p\/a\.json@\w+ has other content by now/)
  assert.equal(refused.stdout, '')
})

test('a manifest whose files were removed is refused, and a foreign or damaged one is named', async (t) => {
  const { storage, project, plan, run, write, directory } = await setUp(t)
  await storage.append('p/a.json', lines(20))
  const [unit] = await plan()
  const manifest = await write(unit!)
  const written = JSON.parse(await readFile(manifest, 'utf8')) as Manifest & { formatVersion: number }
  const refusal = async (text: string): Promise<string> => {
    const path = join(directory, 'damaged')
    await writeFile(path, text)
    const { code, stderr } = await run('commit', path)
    assert.notEqual(code, 0)
    return stderr
  }
  assert.match(await refusal('{'), /UNIT_INVALID.*damaged is not one JSON value/)
  assert.match(await refusal('{}'), /UNIT_INVALID.*damaged is not a manifest.*formatVersion/)
  assert.match(await refusal(JSON.stringify({ ...written, formatVersion: 2 })), /FORMAT_TOO_NEW/)
  assert.match(
    await refusal(JSON.stringify({ ...written, table: 'a.b.c' })),
    /UNIT_INVALID.*of the table a\.b\.c/,
  )
  const [file] = written.files as unknown as { path: string }[]
  await (await import('node:fs/promises')).rm(join(project.tableDirectory('primary'), file!.path))
  const gone = await run('commit', manifest)
  assert.equal(gone.code, 1)
  assert.match(gone.stderr, /UNIT_REFUSED.*is no longer there: write the unit again/)
})
