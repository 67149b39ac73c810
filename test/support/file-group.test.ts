import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { temporaryDirectory } from './temporary-directory.ts'

interface RunGroup {
  readonly stdout: string
  readonly stderr: string
  /** The results of tests, in order. */
  readonly results: readonly string[]
  /** The last line of the journal. */
  readonly lastEvent: { readonly event: string; readonly file: string }
  readonly status: number | null
}

/** Runs files of a group, from their names and texts. */
async function runGroup(
  t: TestContext,
  texts: Readonly<Record<string, string>>,
  env: Readonly<Record<string, string>> = {},
): Promise<RunGroup> {
  const directory = await temporaryDirectory(t)
  const write = (name: string, text: string): string => {
    const path = join(directory, name)
    writeFileSync(path, `${text}\n`)
    return path
  }
  const files = Object.entries(texts).map(([name, text]) =>
    write(name, `import { createServer } from 'node:net'\nimport { test } from 'node:test'\n${text}`),
  )
  const journal = join(directory, 'journal')
  const runFiles = new URL('./file-group.ts', import.meta.url).href
  const group = write(
    'group.mjs',
    `import { runFiles } from ${JSON.stringify(runFiles)}
await runFiles(${JSON.stringify(files)}, ${JSON.stringify(journal)}, 100)`,
  )
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--import', import.meta.resolve('tsx'), group],
    { encoding: 'utf8', env: { PATH: process.env.PATH, ...env } },
  )
  const named = (text: string): string => text.replaceAll(`${directory}/`, '')
  const results = stdout.split('\n').filter((line) => /^(?:not )?ok /.test(line))
  return {
    status,
    stdout,
    stderr: named(stderr),
    results: results.map((line) => named(line.replace(/ \d+ - /, ' '))),
    lastEvent: JSON.parse(named(readFileSync(journal, 'utf8')).trim().split('\n').at(-1)!),
  }
}

test('the files of a group run despite one that cannot be loaded or leaves a server open, and both of these fail by name', async (t) => {
  const { stdout, results, lastEvent } = await runGroup(t, {
    'broken.mjs': "throw new Error('no such table')",
    'leaking.mjs': "test('leaks', () => void createServer().listen(0))",
    'sound.mjs': "test('is sound', () => {})",
    // After the results before it are written, which takes some turns of the event loop.
    'ending.mjs':
      "test('ends the process', () => new Promise(() => setTimeout(() => process.exit(0), 1_000)))",
    'last.mjs': "test('is last', () => {})",
  })
  assert.deepEqual(
    results,
    [
      'not ok test/broken.mjs loads',
      'ok test/broken.mjs',
      'ok leaks',
      'ok test/leaking.mjs',
      'not ok test/leaking.mjs closes what it opens',
      'ok is sound',
      'ok test/sound.mjs',
    ],
    stdout,
  )
  assert.match(stdout, /still open: TCPServerWrap/)
  assert.deepEqual([lastEvent.event, lastEvent.file], ['began', 'ending.mjs'])
})

test('a file that does not come to an end while it loads ends its process, and is named', async (t) => {
  const texts = { 'hanging.mjs': 'await new Promise(() => setInterval(() => {}, 1_000))' }
  const { status, stderr, lastEvent } = await runGroup(t, texts, { TAILRACE_TEST_MINUTES: '0.01' })
  assert.equal(status, 1)
  assert.match(stderr, /^test\/hanging\.mjs has not loaded within 0\.48 s\.$/m)
  assert.deepEqual([lastEvent.event, lastEvent.file], ['began', 'hanging.mjs'])
})

test('what the tests of a file share is closed although some of it fails to close, and each failure is stated', async (t) => {
  const shared = JSON.stringify(new URL('./shared-hooks.ts', import.meta.url).href)
  const { stdout, results } = await runGroup(t, {
    'sharing.mjs': `const { sharedHooks } = await import(${shared})
const { after } = sharedHooks()
const server = createServer().listen(0)
after(() => server.close())
after(() => Promise.reject(new Error('no such server')))
after(() => { throw new Error('no such table') })
test('shares', () => {})`,
    'sound.mjs': "test('is sound', () => {})",
  })
  assert.deepEqual(
    results,
    [
      'ok shares',
      'ok test/sharing.mjs',
      'not ok test/sharing.mjs closes what its tests share',
      'ok is sound',
      'ok test/sound.mjs',
    ],
    stdout,
  )
  assert.match(stdout, /no such table.*no such server/)
})
