import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { chmod, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { assertLandedOnce } from '../support/landed-once.ts'
import { jsonlogLine, linesAsBytes } from '../support/log-lines.ts'
import { runTailrace } from '../support/run-tailrace.ts'
import { startStorage } from '../support/storage.ts'
import { readTable } from '../support/table-rows.ts'
import { projectRoot } from '../support/tailrace-process.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { writeProject } from '../support/test-project.ts'
import { shortJob, sparkTest } from './spark/spark.ts'

const python = process.env.TAILRACE_INTEROP_SPARK!
const run = promisify(execFile)

/** The executor below which a process runs. */
async function executorAbove(pid: number): Promise<number> {
  const { stdout } = await run('ps', ['-eo', 'pid=,ppid=,args='])
  const all = new Map(
    stdout.split('\n').flatMap((text) => {
      const [, own, parent, args = ''] = /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(text) ?? []
      return own === undefined ? [] : [[Number(own), { parent: Number(parent), args }] as const]
    }),
  )
  for (let above = all.get(pid)?.parent; above !== undefined; above = all.get(above)?.parent)
    if (all.get(above)?.args.includes('CoarseGrainedExecutorBackend')) return above
  throw new Error(`No executor above ${pid}:\n${stdout}`)
}

test(
  'a Spark job lands a backlog in one commit, each line once, while an executor is killed and its task runs twice',
  sparkTest,
  async (t) => {
    const storage = await startStorage(t)
    const directory = await temporaryDirectory(t)
    const project = await writeProject(directory, {
      storage: { kind: 'connection-string', connectionString: storage.connectionString },
      pipelines: { primary: { blobs: 'p/' } },
    })
    const blobs = Array.from({ length: 6 }, (_, index) => `p/${index}.json`)
    for (const [index, name] of blobs.entries())
      await storage.append(
        name,
        linesAsBytes(Array.from({ length: 4_000 }, (_, line) => jsonlogLine(index * 4_000 + line))),
      )

    // The first attempt at the unit of the last blob hangs until its executor is gone and another attempt has begun.
    const command = join(directory, 'tailrace')
    const attempts = join(directory, 'attempts')
    await writeFile(
      command,
      `#!/bin/sh
if [ "$1" = write ]; then
  unit="$(cat)"
  case "$unit" in *p/5.json*)
    echo begun >>"${attempts}"
    if mkdir "${directory}/hung" 2>/dev/null; then
      echo $$ >"${directory}/hung-pid.new"
      mv "${directory}/hung-pid.new" "${directory}/hung-pid"
      until [ "$(wc -l <"${attempts}")" -gt 1 ]; do sleep 0.2; done
    fi
  esac
  printf %s "$unit" | "${process.execPath}" "${join(projectRoot, 'bin/tailrace.js')}" "$@"
else
  exec "${process.execPath}" "${join(projectRoot, 'bin/tailrace.js')}" "$@"
fi
`,
    )
    await chmod(command, 0o755)
    const job = spawn(
      python,
      [
        join(projectRoot, 'deploy/spark/tailrace_backfill.py'),
        ...['--config', project.configPath, '--unit-mib', '1', '--command', command],
      ],
      {
        cwd: directory,
        env: {
          ...process.env,
          ...shortJob,
          PYSPARK_SUBMIT_ARGS: '--master local-cluster[2,1,1024] --conf spark.ui.enabled=false pyspark-shell',
        },
      },
    )
    let [output, log] = ['', '']
    job.stdout.on('data', (text) => (output += text))
    job.stderr.on('data', (text) => (log += text))
    const exited = new Promise<number | null>((resolve) => job.once('exit', resolve))
    t.after(() => job.kill('SIGKILL'))
    // A cluster starts slowly on a busy machine; the test's own limit ends the wait.
    while (job.exitCode === null && !(await readdir(directory)).includes('hung-pid')) await delay(50)
    const executor = await executorAbove(Number(await readFile(join(directory, 'hung-pid'), 'utf8')))
    process.kill(executor, 'SIGKILL')
    assert.equal(await exited, 0, log.slice(-8_000))

    const { landed, landedBefore, refused, rows, tableVersion } = JSON.parse(output) as Record<
      string,
      unknown
    >
    assert.deepEqual([landedBefore, refused, rows, tableVersion], [0, [], 24_000, 1])
    assert.ok((landed as number) >= 6, output)
    assert.match(log, /Lost executor/)
    assert.ok(
      (await readFile(attempts, 'utf8')).split('\n').length > 2,
      'the task of the killed executor ran once',
    )
    const table = await readTable(project.tableDirectory('primary'))
    for (const name of blobs) assertLandedOnce(name, await storage.content(name), table)
    const { code, stdout } = await runTailrace(t, ['verify', '--config', project.configPath])
    assert.equal(code, 0, stdout)
  },
)
