import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { skipUnless } from '../support/skip-unless.ts'
import { projectRoot } from '../support/tailrace-process.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { mistakesOf, runTool, tools, toolsMissing } from './tools.ts'

const skip = skipUnless(toolsMissing('python', 'composeSchema'))
const textOf = (path: string): string => readFileSync(join(projectRoot, 'deploy', path), 'utf8')

test('the compose file agrees with the schema of the Compose specification, and a misspelt field does not', {
  skip,
}, async () => {
  const text = textOf('compose/compose.yaml')
  assert.deepEqual(await mistakesOf('compose', text, tools.composeSchema), [])
  const wrong = text.replace('read_only: true', 'readonly: true')
  assert.match((await mistakesOf('compose', wrong, tools.composeSchema)).join('\n'), /readonly/)
})

test('every file that the compose file mounts is there', () => {
  const mounted = [...textOf('compose/compose.yaml').matchAll(/^ +(?:- |file: )(\.[^:\n]*)/gm)].map(
    ([, path]) => path as string,
  )
  assert.ok(mounted.length >= 5)
  for (const path of mounted) assert.ok(existsSync(join(projectRoot, 'deploy/compose', path)), path)
})

for (const [name, resource] of [
  ['container-apps', 'app'],
  ['log-analytics', 'rule'],
] as const)
  test(`the template of ${name} is Bicep, and a broken one is found`, { skip }, async () => {
    const text = textOf(`${name}/main.bicep`)
    assert.deepEqual(await mistakesOf('bicep', text), [])
    assert.notDeepEqual(await mistakesOf('bicep', text.replace(`resource ${resource} `, 'resource ')), [])
  })

test("the jobs of the Databricks bundle have only fields of Databricks' own model of a job", {
  skip,
}, async () => {
  for (const file of readdirSync(join(projectRoot, 'deploy/databricks/resources'))) {
    const text = textOf(`databricks/resources/${file}`)
    assert.deepEqual(await mistakesOf('bundle', text), [], file)
    const wrong = text.replace('max_concurrent_runs', 'max_concurrent_run')
    assert.match((await mistakesOf('bundle', wrong)).join('\n'), /max_concurrent_run/, file)
  }
})

test('every variable of the Databricks bundle is declared, and every declared one is used', () => {
  const resources = readdirSync(join(projectRoot, 'deploy/databricks/resources')).map((file) =>
    textOf(`databricks/resources/${file}`),
  )
  const used = new Set(resources.flatMap((text) => [...text.matchAll(/\$\{var\.(\w+)\}/g)].map(([, n]) => n)))
  const [, block = ''] = /^variables:\n(.*?)^\S/ms.exec(textOf('databricks/databricks.yml')) ?? []
  const declared = [...block.matchAll(/^ {2}(\w+):$/gm)].map(([, name]) => name)
  assert.ok(declared.length > 5)
  assert.deepEqual([...used].sort(), declared.sort())
})

const noSystemd = (() => {
  try {
    execFileSync('systemd-analyze', ['--version'], { stdio: 'pipe' })
    return false
  } catch {
    return 'systemd-analyze is missing: apt-get install systemd'
  }
})()

test('systemd accepts the unit, takes a stop by SIGTERM for success, and rates its isolation OK', {
  skip: skipUnless(noSystemd),
}, async (t) => {
  const unit = join(projectRoot, 'deploy/systemd/tailrace.service')
  const verified = await runTool('systemd-analyze', ['verify', unit])
  assert.deepEqual([verified.code, verified.stderr], [0, ''])
  assert.match(readFileSync(unit, 'utf8'), /^SuccessExitStatus=143$/m)
  const rated = await runTool('systemd-analyze', [
    'security',
    '--offline=true',
    '--threshold=20',
    '--no-pager',
    unit,
  ])
  t.diagnostic(rated.stdout.trim().split('\n').at(-1)!)
  assert.equal(rated.code, 0, rated.stdout)

  const wrong = join(await temporaryDirectory(t), 'wrong.service')
  await writeFile(wrong, readFileSync(unit, 'utf8').replace('TimeoutStopSec', 'TimeoutStopSecs'))
  assert.match((await runTool('systemd-analyze', ['verify', wrong])).stderr, /TimeoutStopSecs/)
})
