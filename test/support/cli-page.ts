import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { createProgram } from '../../src/commands/program/program.ts'
import { topLines } from '../../src/commands/top.ts'
import { runTailrace } from './run-tailrace.ts'
import { temporaryDirectory } from './temporary-directory.ts'

const introduction = `# Command line

The help of every command, as \`tailrace help COMMAND\` prints it. What the commands are for is in
[Operations](operations.md#commands).
`

/** The heading of the part of docs/cli.md that a run of the sample makes. */
export const examplesHeading = '\n## Over the sample logs\n'

/** Renders the part of docs/cli.md above the examples, from the help texts of the command line. */
export async function helpPart(): Promise<string> {
  let page = introduction
  for (const path of [[], ...commandPaths()]) {
    let help = ''
    const program = programOf((text) => {
      help += text
    })
    // The parser ends with an error after a help text.
    await program.parseAsync([...path, '--help'], { from: 'user' }).catch(() => {})
    page += `\n## \`${['tailrace', ...path].join(' ')}\`\n\n\`\`\`text\n${help}\`\`\`\n`
  }
  return page
}

/** Renders the examples of docs/cli.md: what commands show of the sample logs. */
export async function examplesPart(t: TestContext): Promise<string> {
  const directory = await temporaryDirectory(t)
  const env = {
    TAILRACE_LAKEHOUSE: join(directory, 'lakehouse'),
    TAILRACE_STATE: join(directory, 'state'),
    LOG_LEVEL: 'error',
  }
  await runTailrace(t, ['start', '--once', '--pipeline', 'primary'], { env })
  const shot = async (...args: readonly string[]): Promise<string> => {
    const { stdout, stderr, code } = await runTailrace(t, args, { env })
    if (code !== 0) throw new Error(stderr)
    const line = args.map((arg) => (arg.includes(' ') ? `"${arg}"` : arg)).join(' ')
    return `\n\`\`\`text\n$ tailrace ${line}\n${stdout}\`\`\`\n`
  }
  const sql =
    'select severity, count(*) as records from primary_postgresql_logs_uat group by all order by records desc, severity'
  const top = topLines(topRows, topAtMs, undefined).join('\n')
  return [
    examplesHeading,
    `\n\`tailrace top\` beside a backfill:\n\n\`\`\`text\n${top}\n\`\`\`\n`,
    await shot('query', sql),
    await shot('query', '--format', 'csv', `${sql} limit 2`),
    await shot('search', 'deadlock', '--severity', 'ERROR', '-C', '1', '--limit', '1'),
  ].join('')
}

const topAtMs = Date.UTC(2026, 10, 24, 9, 30)

const topRows = [
  {
    name: 'primary',
    status: {
      pid: 1,
      atMs: topAtMs,
      isRunning: true,
      phase: 'backfill' as const,
      percent: 43,
      leftSeconds: 41,
      bytesPerSecond: 28_400_000,
      rowsPerSecond: 52_100,
      rows: 1_612_000,
      rejected: 2,
      bytes: 880_000_000,
      lagBytes: 1_170_000_000,
      lanes: 2,
      setAside: 0,
      isHeld: false,
      landedAtMs: topAtMs - 2_000,
      tableVersion: 14,
      blobs: [{ blob: 'pg-logs/primary/09.ndjson', offset: 130_000_000, bytes: 1_300_000_000 }],
    },
  },
  {
    name: 'replica',
    status: {
      pid: 1,
      atMs: topAtMs,
      isRunning: true,
      phase: 'following' as const,
      bytesPerSecond: 61_000,
      rowsPerSecond: 112,
      rows: 27_089,
      rejected: 0,
      bytes: 14_773_418,
      lagBytes: 7_688,
      lanes: 1,
      setAside: 0,
      isHeld: false,
      landedAtMs: topAtMs - 4_000,
      tableVersion: 9,
      blobs: [{ blob: 'pg-logs/replica/09.ndjson', offset: 14_765_730, bytes: 14_773_418 }],
    },
  },
]

/** @returns the words of each command that can be run */
export function commandPaths(): string[][] {
  const program = programOf(() => {})
  type Node = Pick<typeof program, 'commands' | 'name' | 'createHelp'>
  const below = (command: Node, path: readonly string[]): string[][] =>
    command.commands
      .filter((one) => !one.name().startsWith('_'))
      .flatMap((one) => {
        const own = [...path, one.name()]
        return one.commands.length === 0 ? [own] : below(one as unknown as Node, own)
      })
  return below(program, [])
}

/** The command line, whose commands do nothing. */
export function programOf(write: (text: string) => void): ReturnType<typeof createProgram> {
  const unused = async (): Promise<void> => {}
  const runner = { withConfig: unused, withoutConfig: unused }
  return createProgram({ version: '', runner, onFlags: () => {}, write })
}
