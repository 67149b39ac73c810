import type { TestContext } from 'node:test'
import { AccessControl } from '../../doubles/workspace/access-control.ts'
import { checkWriting } from '../../src/commands/checking/check-writing.ts'
import type { CommandContext } from '../../src/commands/command.ts'
import { printSetup } from '../../src/commands/databricks-setup.ts'
import { printLanding } from '../../src/commands/starting/print-landing.ts'
import { resolveConfig } from '../../src/config/resolve.ts'
import { outputOf } from '../commands/command-fixture.ts'
import { catalog, openWorkspaceBench, schema } from './workspace-bench.ts'

const introduction = `# From zero to a landed row

What the commands print that prepare a Databricks workspace, for one pipeline with \`sink.mode: 'auto'\`. Recorded against
the workspace on loopback that the tests use; nothing was run in a real one. Columns are shortened to the first. What each
part is for is in [Databricks](databricks.md#setting-it-up).

An administrator runs what \`setup --print\` prints. \`check --write\` then shows whether that was enough, and once it exits
with 0, \`tailrace start\` can land.
`

const principal = '6f1d2c1e-8a4b-4a57-9d0e-1f2a3b4c5d6e'

/** Renders docs/databricks-setup.md from the output of the real commands. */
export async function setupPage(t: TestContext): Promise<string> {
  const access = new AccessControl()
  const bench = await openWorkspaceBench(t, { access })
  const { tokens } = bench.workspace
  const auth = { kind: 'oauth', clientId: tokens.clientId, clientSecret: tokens.clientSecret } as const
  const config = resolveConfig(bench.rawConfig({ auth, upload: 'files-api' }), bench.directory)
  const shot = async (
    line: string,
    command: (context: CommandContext) => Promise<number>,
  ): Promise<string> => {
    const { text, code } = await outputOf(config, command)
    const exit = code === 0 ? '' : `(exit code ${code})\n`
    return `\n\`\`\`text\n$ tailrace ${line}\n${plain(text, bench.workspace.port)}${exit}\`\`\`\n`
  }
  const write = (context: CommandContext): Promise<number> => checkWriting(context, {})
  const printed = await shot('databricks setup --print', (context) => printSetup(context, {}))
  access.deny('CAN USE')
  access.deny(`WRITE VOLUME on Volume '${catalog}.${schema}.staging'`)
  const withoutUse = await shot('check --write', write)
  access.run('databricks permissions update warehouses')
  const withoutVolume = await shot('check --write', write)
  access.run(`GRANT WRITE VOLUME ON VOLUME ${catalog}.${schema}.staging TO \`${principal}\`;`)
  const good = await shot('check --write', write)
  const dry = await shot('start --dry-run', (context) => printLanding(context, undefined))
  return [
    introduction,
    '\n## What an administrator runs\n',
    printed,
    '\n## Whether a pipeline can land\n\nBefore CAN USE is granted, and a right on the volume:\n',
    withoutUse,
    '\nAfter the command, and before the grants:\n',
    withoutVolume,
    '\nAfter both:\n',
    good,
    '\n## What a landing sends\n',
    dry,
  ].join('')
}

/** Leaves out what differs from one recording to the next. */
function plain(text: string, port: number): string {
  return text
    .replaceAll(`127.0.0.1:${port}`, 'adb-1234567890123456.7.azuredatabricks.net')
    .replaceAll('127.0.0.1', 'adb-1234567890123456.7.azuredatabricks.net')
    .replaceAll(/tailrace_check_[0-9a-f]+/g, 'tailrace_check_a1b2c3d4e5f6')
    .replaceAll(
      /(?!6f1d2c1e)[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g,
      '00000000-0000-0000-0000-000000000000',
    )
    .replaceAll(/\d{4}-\d\d-\d\d\/\d\d\b/g, '2026-11-29/10')
    .replaceAll(/(\n {2}`event_time` [^\n]*\n)(?: {2}`[^\n]*\n)+/g, '$1  …\n')
    .replaceAll(
      /(`event_time`|CAST\(`event_time` AS TIMESTAMP\) AS `event_time`), [^\n]*?(\)| FROM read_files)/g,
      (_, first, end) => (end === ')' ? `${first}, …)` : `${first}, …${end}`),
    )
}
