import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { environmentVariables, readEnvironment, unknownVariables } from '../../src/config/environment.ts'
import { isTailraceError } from '../../src/errors.ts'
import { runTailrace } from '../support/run-tailrace.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** The message that reading a variable of a value fails with, or its value. */
function read(value: string | undefined): unknown {
  try {
    return readEnvironment({ TAILRACE_STATE: 'text' }, { TAILRACE_STATE: value }).TAILRACE_STATE
  } catch (error) {
    assert.ok(isTailraceError(error, 'CONFIG_INVALID'))
    return error
  }
}

test('white space and quotes around a value are not part of it, and an empty one counts as not set', () => {
  for (const [given, value] of [
    ['./lake', './lake'],
    ['/x/state\n', '/x/state'],
    [' ./lake\r\n', './lake'],
    ['"./lake"', './lake'],
    ["'./lake'", './lake'],
    ['\'"./lake"\'\n', './lake'],
    ['“./lake”', './lake'],
    ['\ufeff" ./lake "', './lake'],
    ['a "quoted" name', 'a "quoted" name'],
    ['می\u200cشود', 'می\u200cشود'],
    [undefined, undefined],
    ['', undefined],
    [' \n', undefined],
    ['""', undefined],
  ]) {
    assert.equal(read(given), value, JSON.stringify(given))
  }
})

test('a quote at one end, an invisible character and an unreplaced reference are refused by the name of the variable', () => {
  for (const [given, why] of [
    ['"./lake', 'quote at one end'],
    ["./lake'", 'quote at one end'],
    ['"', 'quote at one end'],
    ['a\nb', 'U\\+000A\\) after 1 characters'],
    ['a\u0000', 'U\\+0000'],
    ['a\u001b[1m', 'U\\+001B'],
    ['a\u200bb', 'U\\+200B'],
    ['a\u2028b', 'U\\+2028'],
    ['a\u202eb', 'U\\+202E'],
    ['~/lake', 'found the unexpanded reference ~,'],
    ['/x/\u0024{HOME}/lake', 'found the unexpanded reference \\$\\{HOME\\}'],
    ['$(STATE)', 'found the unexpanded reference \\$\\(STATE\\)'],
  ] as const) {
    const error = read(given)
    assert.ok(error instanceof Error, JSON.stringify(given))
    assert.match(error.message, new RegExp(`^One variable of the environment.*\n  TAILRACE_STATE: .*${why}`))
  }
})

test('words are read in any case, numbers as digits, and the mistakes of all variables are reported at once', () => {
  const kinds = { LEVEL: ['debug', 'warn'], PORT: 'whole number', PATH: 'text' } as const
  assert.deepEqual(readEnvironment(kinds, { LEVEL: 'WARN', PORT: ' 9464\n' }), { LEVEL: 'warn', PORT: 9464 })
  assert.throws(
    () => readEnvironment(kinds, { LEVEL: 'wran', PORT: '0x10', PATH: '"' }),
    /^TailraceError: 3 variables.*\n {2}LEVEL: found "wran", expected one of debug, warn\n {2}PORT: found "0x10", expected a whole number\n {2}PATH: /,
  )
})

test('a variable that nothing reads is reported with the nearest name, and one that a config asked for is not', () => {
  const environment = {
    TAILRACE_PRIMARRY: 'x',
    tailrace_metrics_port: '1',
    TAILRACE_STATE: 'x',
    TAILRACE_SEED: '1',
    TAILRACE_BENCH_USAGE: 'x',
    PATH: 'x',
    TAILRACE_OWN: 'x',
  }
  const found = (): unknown =>
    unknownVariables(environment).map(({ name, nearestName }) => [name, nearestName])
  const misspelled = [
    ['TAILRACE_PRIMARRY', 'TAILRACE_PRIMARY'],
    ['tailrace_metrics_port', 'TAILRACE_METRICS_PORT'],
  ]
  assert.deepEqual(found(), [...misspelled, ['TAILRACE_OWN', 'TAILRACE_SINK']])
  readEnvironment({ TAILRACE_OWN: 'text' }, environment)
  assert.deepEqual(found(), misspelled)
})

test('docs/configuration.md and pipeline.config.ts have the variables of the one list, and no others', () => {
  const page = readFileSync(join(root, 'docs/configuration.md'), 'utf8')
  const section = page.split(/^## /m).find((part) => part.startsWith('Environment of the config')) ?? ''
  const documented = section
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .flatMap((line) => [...(line.split('|')[1] ?? '').matchAll(/`([A-Z_]+)`/g)].map(([, name]) => name))
  assert.deepEqual(documented.toSorted(), [...environmentVariables].toSorted())
  const config = readFileSync(join(root, 'pipeline.config.ts'), 'utf8')
  const read = [...config.matchAll(/^ {2}([A-Z_]+): (?:'|\[)/gm)].map(([, name]) => name)
  assert.deepEqual([...read, 'LOG_LEVEL', 'TAILRACE_CONFIG'].toSorted(), [...environmentVariables].toSorted())
})

test('no variable of the tests and benches is reported as unknown', () => {
  const folders = ['test', 'bench', 'scripts', '.ci']
  const names = new Set(
    folders.flatMap((folder) =>
      readdirSync(join(root, folder), { recursive: true, encoding: 'utf8', withFileTypes: true })
        .filter((entry) => entry.isFile() && !entry.name.startsWith('environment.test'))
        .flatMap(({ parentPath, name }) => [
          ...readFileSync(join(parentPath, name), 'utf8').matchAll(/\bTAILRACE_[A-Z_]+[A-Z]\b/g),
        ])
        .map(([name]) => name),
    ),
  )
  assert.ok(names.has('TAILRACE_SEED'))
  assert.deepEqual(unknownVariables(Object.fromEntries([...names].map((name) => [name, '1']))), [])
})

test('the environment is read in one file', () => {
  const readers = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .filter((file) => readFileSync(join(root, 'src', file), 'utf8').includes('process.env'))
  assert.deepEqual(readers, ['config/environment.ts'])
})

test('values as env files and secrets give them work in the config that ships, and mistakes name their variables', async (t) => {
  const directory = await temporaryDirectory(t)
  const history = (env: Record<string, string>) =>
    runTailrace(t, ['history', '--config', join(root, 'pipeline.config.ts')], {
      env,
      cwd: directory,
      asShipped: true,
    })
  const [quoted, wrong] = await Promise.all([
    history({
      TAILRACE_LAKEHOUSE: '"./lake"\n',
      TAILRACE_STATE: "'./state'\n",
      TAILRACE_CONTAINR: 'x',
      LOG_LEVEL: 'WARN\n',
    }),
    history({
      TAILRACE_METRICS_PORT: 'abc',
      TAILRACE_COLD_START: 'foo',
      TAILRACE_SINK: 'delta lake',
      TAILRACE_STATE: 'a\tb',
    }),
  ])
  assert.equal(quoted.code, 0, quoted.stderr)
  assert.deepEqual(
    quoted.process.log.map(({ msg }) => msg),
    ['unknown environment variable TAILRACE_CONTAINR: did you mean TAILRACE_CONTAINER?'],
  )
  assert.deepEqual(
    readdirSync(directory).filter((name) => /["'\n]/.test(name)),
    [],
  )
  assert.equal(wrong.code, 2)
  for (const name of ['TAILRACE_METRICS_PORT', 'TAILRACE_COLD_START', 'TAILRACE_SINK', 'TAILRACE_STATE'])
    assert.match(wrong.stderr, new RegExp(`^  ${name}: `, 'm'))
})
