import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { loadConfig } from '../../src/config/load.ts'
import { isTailraceError } from '../../src/errors.ts'
import { runTailrace } from '../support/run-tailrace.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

/** Loads a config of these files, of which the first is the one that is named; gives the message it fails with. */
async function failureOf(
  t: TestContext,
  files: Readonly<Record<string, string>>,
): Promise<{ readonly message: string; readonly path: string }> {
  const directory = await temporaryDirectory(t)
  await writeFile(join(directory, 'package.json'), '{"type":"module"}')
  for (const [name, text] of Object.entries(files)) await writeFile(join(directory, name), text)
  const path = join(directory, Object.keys(files)[0]!)
  try {
    await loadConfig(path)
  } catch (error) {
    assert.ok(isTailraceError(error, 'CONFIG_UNREADABLE'), String(error))
    return { message: error.message, path }
  }
  throw new Error('The config was loaded.')
}

const broken = [
  'export default {',
  '  pipelines: {',
  "    größe: { source: { storage: { kind: 'embedded' } container: 'x' } },",
  '  },',
  '}',
].join('\n')

test('a syntax error is reported with file, line, column and the line itself, in every kind of module', async (t) => {
  for (const name of ['broken.config.ts', 'broken.config.mts', 'broken.config.js', 'broken.config.mjs']) {
    const { message, path } = await failureOf(t, { [name]: broken })
    const [what, at, line, under] = message.split('\n')
    assert.match(what!, /^The config file .* failed: .*container/)
    assert.equal(at, `  at ${path}:3:54`, name)
    assert.equal(line, `  3 | ${broken.split('\n')[2]}`)
    assert.equal(under, `${' '.repeat(6 + 53)}^`)
  }
})

test('a mistake in what a config imports, and what it throws, is reported where it is', async (t) => {
  const cases: readonly [files: Record<string, string>, expected: RegExp][] = [
    [
      { 'a.ts': "import './b.ts'\nexport default {}", 'b.ts': 'const x = ;' },
      /Unexpected ";"\n {2}at .*b\.ts:1:11\n {2}1 \| const x = ;\n {16}\^$/,
    ],
    [
      {
        'a.ts': "import { f } from './b.ts'\nexport default f()",
        'b.ts': '\nexport function f() { return undefined.x }',
      },
      /reading 'x'\)\n {2}at .*b\.ts:2:\d+\n {2}2 \| export function f/,
    ],
    [
      { 'a.ts': "import { g } from './b.ts'\nexport default g", 'b.ts': 'export const f = 1' },
      /does not provide an export named 'g'\n {2}at .*a\.ts:1\n/,
    ],
    [{ 'a.ts': "import './b.ts'" }, /Cannot find module '.*b\.ts'/],
    [{ 'a.ts': "import 'no-such-package'" }, /Cannot find package 'no-such-package'/],
    [{ 'a.ts': 'throw "a text"' }, /failed: a text\.$/],
    [{ 'a.ts': 'await Promise.reject(null)' }, /failed: null\.$/],
    [{ 'a.json': '{"pipelines": ' }, /a\.json/],
    [{ 'a.yaml': 'pipelines:' }, /Unknown file extension "\.yaml"/],
    [
      { 'a.ts': 'export const config = {}' },
      /default export of .*a\.ts is missing; expected: export default/,
    ],
    [{ 'a.ts': 'export default () => ({})' }, /default export .* is a function: export what it returns/],
    [{ 'a.ts': 'export default Promise.resolve({})' }, /default export .* is a promise: await it/],
    [{ 'a.ts': 'export default null' }, /default export .* is null/],
    [{ 'a.ts': 'export default "pipelines"' }, /default export .* is a string/],
  ]
  for (const [files, expected] of cases) assert.match((await failureOf(t, files)).message, expected)
})

test('the line of a mistake shows no secret of the config', async (t) => {
  const lines = [
    "const storage = { kind: 'shared-key', key: 'c2VjcmV0c2VjcmV0' account: 'a' }",
    "const auth = { clientSecret: 'topsecret' token: x }",
    "const url = 'https://a.blob.core.windows.net/logs?sig=c2VjcmV0 ;",
    "const a = process.env.KEY ?? 'dapi0123456789abcdef' b",
  ]
  for (const line of lines) {
    const { message } = await failureOf(t, { 'a.ts': line })
    assert.match(message, /\n {2}1 \| const /)
    assert.doesNotMatch(message, /c2VjcmV0|topsecret|dapi0123/)
  }
})

test('a config that is missing, is a directory, or awaits a promise that never settles is named, and the command exits with 2', async (t) => {
  const directory = await temporaryDirectory(t)
  await mkdir(join(directory, 'folder.ts'))
  await writeFile(join(directory, 'waits.mjs'), 'await new Promise(() => {})')
  for (const [name, expected] of [
    ['none.mjs', /There is no config file at .*none\.mjs/],
    ['folder.ts', /There is no config file at .*folder\.ts/],
    ['waits.mjs', /waits\.mjs awaits a promise that never settles/],
  ] as const) {
    const run = await runTailrace(t, ['status', '--config', join(directory, name)])
    assert.equal(run.code, 2, run.stderr)
    assert.match(run.stderr, expected)
    assert.doesNotMatch(run.stderr, /^ +at /m)
  }
})
