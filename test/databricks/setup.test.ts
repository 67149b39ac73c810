import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { AccessControl } from '../../doubles/workspace/access-control.ts'
import { checkWriting } from '../../src/commands/checking/check-writing.ts'
import { printSetup } from '../../src/commands/databricks-setup.ts'
import { isTailraceError } from '../../src/errors.ts'
import type { DatabricksSinkConfig } from '../../src/sinks/databricks/options.ts'
import { postgresLogs } from '../../src/tables/postgres/logs.ts'
import { lines, openBench, outputOf } from '../commands/command-fixture.ts'
import { projectRoot } from '../support/tailrace-process.ts'
import { elsewhere } from './plain-table.ts'
import { setupPage } from './setup-page.ts'
import { landAll, openWorkspaceBench } from './workspace-bench.ts'

test('docs/databricks-setup.md is what the commands print; TAILRACE_TEST_UPDATE=databricks rewrites it', async (t) => {
  const path = join(projectRoot, 'docs', 'databricks-setup.md')
  const page = await setupPage(t)
  if (process.env.TAILRACE_TEST_UPDATE === 'databricks') writeFileSync(path, page)
  assert.equal(readFileSync(path, 'utf8'), page)
})

/** The statements of a script: each begins a paragraph and ends with a semicolon. */
function statementsOf(script: string): readonly string[] {
  const sql = script.slice(script.indexOf('\n-- 2.')).replaceAll(/^--.*\n/gm, '')
  return sql
    .split(/;\n/)
    .map((statement) => statement.trim())
    .filter((statement) => statement !== '')
}

for (const mode of ['auto', 'replace-where', 'copy-into', 'merge'] as const) {
  test(`whoever runs what setup prints for mode ${mode} has nothing left to do, and the table is there`, async (t) => {
    const access = new AccessControl()
    const bench = await openWorkspaceBench(t, { access })
    const name = { catalog: 'Neue Welt', schema: 'logs', table: 'primary' }
    const sink: Partial<DatabricksSinkConfig> = { mode, volume: '/Volumes/Neue Welt/staged/files' }
    const config = bench.config(sink, { table: postgresLogs(Object.values(name).join('.')) })
    const [object, other, volume] = [
      "Catalog 'neue welt'",
      "Schema 'neue welt.logs'",
      "Volume 'neue welt.staged.files'",
    ]
    access.deny('CAN USE', `USE CATALOG on ${object}`, `USE SCHEMA on ${other}`, `CREATE TABLE on ${other}`)
    access.deny("USE SCHEMA on Schema 'neue welt.staged'")
    access.deny(`READ VOLUME on ${volume}`, `WRITE VOLUME on ${volume}`)
    for (const table of ['primary', 'tailrace_offsets'])
      access.deny(
        ...['SELECT', 'MODIFY'].map((privilege) => `${privilege} on Table 'neue welt.logs.${table}'`),
      )
    const principal = bench.workspace.tokens.clientId
    const { text } = await outputOf(config, (context) => printSetup(context, { principal }))
    const permission = text.split('\n').find((line) => line.startsWith('databricks permissions update'))
    assert.match(permission ?? '', new RegExp(`0123456789abcdef .*"service_principal_name":"${principal}"`))
    access.run(permission ?? '')
    for (const statement of statementsOf(text)) {
      if (statement.startsWith('CREATE VOLUME')) await bench.volumes.create('neue welt', 'staged', 'files')
      else if (statement.startsWith('GRANT')) {
        for (const grant of `${statement};`.split(/(?<=;)\n/)) access.run(grant)
      } else await bench.warehouse.execute(statement, elsewhere)
    }
    const checked = await outputOf(config, (context) => checkWriting(context, {}))
    assert.equal(checked.code, 0, checked.text)
    await bench.storage.append('primary.ndjson', lines(0, 5))
    assert.equal((await landAll(config)).pipelines.primary?.rows, 5)
  })
}

test('an identity that the config does not name is asked for, and one that it names is used', async (t) => {
  const bench = await openWorkspaceBench(t)
  const script = async (sink: Partial<DatabricksSinkConfig>) =>
    (await outputOf(bench.config(sink), (context) => printSetup(context, {}))).text
  assert.match(await script({}), /replace <application id>, or pass --principal ID/)
  const id = '00000000-0000-0000-0000-000000000001'
  const named = await script({ auth: { kind: 'entra', managedIdentityClientId: id } })
  assert.match(named, new RegExp(`"applicationId":"${id}"`))
  assert.match(named, new RegExp(`GRANT USE CATALOG ON CATALOG .* TO \`${id}\`;`))
  assert.doesNotMatch(named, /<application id>/)
})

test("a quote in a principal's name stays inside its argument, when a shell runs the printed commands", async (t) => {
  const bench = await openWorkspaceBench(t)
  const principal = "o'brien@example.org"
  const { text } = await outputOf(bench.config(), (context) => printSetup(context, { principal }))
  const commands = text.split('\n').filter((line) => /^databricks .* --json /.test(line))
  assert.equal(commands.length, 2)
  for (const command of commands) {
    const shown = execFileSync('sh', [
      '-c',
      `databricks() { for last; do :; done; echo "$last"; }; ${command}`,
    ])
    assert.ok(JSON.stringify(JSON.parse(String(shown))).includes(principal), command)
  }
})

test('a config without a table in a workspace has nothing to set up', async (t) => {
  const bench = await openBench(t)
  await assert.rejects(
    outputOf(bench.config({ primary: {} }), (context) => printSetup(context, {})),
    (error) => isTailraceError(error, 'USAGE') && /is not in a Databricks workspace/.test(error.message),
  )
})
