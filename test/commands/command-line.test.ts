import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { chmod, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { exitCodeMeanings } from '../../src/commands/program/definition.ts'
import { isTailraceError } from '../../src/errors.ts'
import { builtScript } from '../support/built-script.ts'
import { examplesHeading, helpPart, programOf } from '../support/cli-page.ts'
import { jsonlogLine } from '../support/log-lines.ts'
import { runTailrace } from '../support/run-tailrace.ts'
import { startStorage } from '../support/storage.ts'
import { projectRoot } from '../support/tailrace-process.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { writeProject } from '../support/test-project.ts'

async function emptyProject(t: TestContext): Promise<string> {
  const { configPath } = await writeProject(await temporaryDirectory(t), {
    storage: { kind: 'embedded' },
    pipelines: { primary: { blobs: 'primary' } },
  })
  return configPath
}

test('docs/cli.md is the help of every command; TAILRACE_TEST_UPDATE=cli rewrites it', async () => {
  const path = join(projectRoot, 'docs', 'cli.md')
  const page = readFileSync(path, 'utf8')
  const examplesAt = page.indexOf(examplesHeading)
  const help = await helpPart()
  if (process.env.TAILRACE_TEST_UPDATE === 'cli') writeFileSync(path, help + page.slice(examplesAt))
  else assert.equal(page.slice(0, examplesAt), help)
})

test('help and version come from the command that was asked for, without a config', async (t) => {
  const { version } = JSON.parse(readFileSync(join(projectRoot, 'package.json'), 'utf8'))
  const printed = await runTailrace(t, ['--version'], { cwd: await temporaryDirectory(t) })
  assert.deepEqual([printed.code, printed.stdout], [0, `${version}\n`])
  for (const line of [
    ['help', 'start'],
    ['start', '--help'],
    ['start', '--once', '-h'],
  ]) {
    const help = await runTailrace(t, line)
    assert.equal(help.code, 0)
    assert.match(help.stdout, /^Usage: tailrace start \[options\]\n/)
    assert.match(help.stdout, /\nExamples:\n {2}tailrace start /)
    for (const code of [0, 1, 2, 3, 4, 130])
      assert.ok(help.stdout.includes(`${code}`.padEnd(5) + exitCodeMeanings.get(code)))
  }
  const none = await runTailrace(t, [])
  assert.equal(none.code, 2)
  assert.match(none.stdout, /^Usage: tailrace /)
})

test('the command line is defined without loading a command, the engine or a library but its parser', () => {
  const packages = new Set<string>()
  const seen = new Set<string>()
  const follow = (url: URL): void => {
    if (seen.has(url.href)) return
    seen.add(url.href)
    const statements = readFileSync(url, 'utf8').matchAll(
      /^(?:import|export) (?!type )(?:[^'";]*? from )?'([^']+)'/gm,
    )
    for (const [, target = ''] of statements) {
      if (target.startsWith('.')) follow(new URL(target, url))
      else if (!target.startsWith('node:')) packages.add(target)
    }
  }
  follow(new URL('../../src/cli.ts', import.meta.url))
  assert.ok(seen.size > 10)
  assert.deepEqual([...packages], ['@commander-js/extra-typings'])
})

test('an option or command that does not exist is refused, with the nearest one or the command that has it', async (t) => {
  const refusals: readonly (readonly [line: readonly string[], message: RegExp])[] = [
    [['statsu'], /unknown command 'statsu': did you mean status\?/],
    [['start', '--onec'], /unknown option '--onec': did you mean --once\?/],
    [
      ['status', '--once'],
      /tailrace status has no option --once, which belongs to tailrace start, tailrace top\./,
    ],
    [['query', '--version', '3', 'select 1'], /unknown option '--version': did you mean --table-version\?/],
    [['check', '--json'], /tailrace check has no option --json, which belongs to /],
    [['status', 'primary'], /too many arguments for 'status'/],
    [['replay', '--blob', 'b', '--from', '0'], /required option '--pipeline <name>' not specified\./],
    [['rejects', '--limit', 'x'], /--limit: found x, expected a whole number of at least 0\./],
    [['retain', '--days', '0'], /--days: found 0, expected a whole number from 1 to 36500\./],
    [['retain', '--days', '36501'], /--days: found 36501, expected a whole number from 1 to 36500\./],
    [['query', '--at', 'noon', 'select 1'], /--at: found noon, expected a time with a UTC offset/],
    [
      ['query', '--at', '2026-11-24T00:00:00Z', '--table-version', '1', 'select 1'],
      /option '--at <time>' cannot be used with option '--table-version <n>'\./,
    ],
    [['tables'], /tailrace tables needs a subcommand: create\./],
    [['completion', 'tcsh'], /Allowed choices are bash, zsh, fish\./],
  ]
  for (const [line, message] of refusals) {
    await assert.rejects(
      programOf(() => {}).parseAsync([...line], { from: 'user' }),
      (error) => isTailraceError(error, 'USAGE') && message.test(error.message),
      line.join(' '),
    )
  }
  // How the process ends is the same for each of them.
  const [line, message] = refusals[0]!
  const refused = await runTailrace(t, line)
  assert.deepEqual([refused.code, refused.stdout], [2, ''])
  assert.match(refused.stderr, /^tailrace: USAGE: /)
  assert.match(refused.stderr, message)
})

test('the config is that of --config, before or behind the command, then that of TAILRACE_CONFIG', async (t) => {
  const configPath = await emptyProject(t)
  const cwd = await temporaryDirectory(t)
  const ways: readonly (readonly [line: readonly string[], env: Record<string, string>])[] = [
    [['history', '--config', configPath], {}],
    [['--config', configPath, 'history'], {}],
    [['history'], { TAILRACE_CONFIG: configPath }],
    [['history', '--config', configPath], { TAILRACE_CONFIG: 'elsewhere.ts' }],
  ]
  for (const [line, env] of ways) {
    const run = await runTailrace(t, line, { cwd, env })
    assert.equal(run.code, 0, run.stderr)
    assert.equal(run.stdout, 'primary: the table does not exist yet\n')
    assert.equal(run.stderr, '')
  }
  const missing = await runTailrace(t, ['history'], { cwd })
  assert.equal(missing.code, 2)
  assert.match(missing.stderr, /CONFIG_UNREADABLE: There is no config file at .*pipeline\.config\.ts/)
})

test('--quiet leaves only warnings and errors in the log, whatever LOG_LEVEL says', async (t) => {
  const storage = await startStorage(t)
  await storage.append('primary', `${jsonlogLine(0)}\n`)
  const { configPath } = await writeProject(await temporaryDirectory(t), {
    storage: { kind: 'connection-string', connectionString: storage.connectionString },
    pipelines: { primary: { blobs: 'primary' } },
  })
  const env = { TAILRACE_CONFIG: configPath, LOG_LEVEL: 'trace', [`TAILRACE_${'CONFIGG'}`]: 'x' }
  const loud = await runTailrace(t, ['start', '--once'], { env })
  assert.deepEqual([loud.code, loud.process.logged('done')], [0, true], loud.stderr)
  const quiet = await runTailrace(t, ['start', '--once', '--quiet'], { env })
  assert.equal(quiet.code, 0)
  const [warning, ...more] = quiet.process.log
  assert.equal(warning?.level, 'warn')
  assert.match(warning.msg ?? '', /unknown environment variable TAILRACE_\w+: did you mean TAILRACE_CONFIG\?/)
  assert.deepEqual(more, [])
})

test('a shell completes commands, options, values and files', async (t) => {
  const directory = await temporaryDirectory(t)
  const command = join(directory, 'tailrace')
  await writeFile(
    command,
    `#!/bin/sh\nexec ${process.execPath} ${builtScript(join(projectRoot, 'src', 'cli.ts')).join(' ')} "$@"\n`,
  )
  await chmod(command, 0o755)
  const script = (await runTailrace(t, ['completion', 'bash'])).stdout
  const work = mkdtempSync(join(tmpdir(), 'completion-'))
  writeFileSync(join(work, 'my config.ts'), '')
  const complete = (...words: readonly string[]): string[] => {
    const text = execFileSync(
      'bash',
      [
        '-c',
        `${script}
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _tailrace; printf '%s\\n' "\${COMPREPLY[@]}"`,
        'bash',
        command,
        ...words,
      ],
      { cwd: projectRoot, encoding: 'utf8', env: { PATH: process.env.PATH, WORK: work } },
    )
    return text.split('\n').filter((line) => line !== '')
  }
  assert.deepEqual(complete('st'), ['start', 'status'])
  assert.deepEqual(complete('start', '--o'), ['--once'])
  assert.deepEqual(complete('--config', 'x.ts', 'tables', ''), ['create'])
  assert.deepEqual(complete('completion', 'z'), ['zsh'])
  assert.deepEqual(complete('status', '--config', join(work, 'my')), [join(work, 'my config.ts')])
  for (const shell of ['zsh', 'fish']) {
    const other = await runTailrace(t, ['completion', shell])
    assert.equal(other.code, 0)
    assert.match(other.stdout, /tailrace __complete|"\$\{words\[1\]\}" __complete/)
  }
})
