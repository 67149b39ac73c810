import assert from 'node:assert/strict'
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { jsonlogLine, linesAsBytes } from '../support/log-lines.ts'
import { skipUnless } from '../support/skip-unless.ts'
import { startStorage, type TestStorage } from '../support/storage.ts'
import { projectRoot } from '../support/tailrace-process.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { runTool, type ToolRun, tools, toolsMissing } from './tools.ts'

const skip = skipUnless(toolsMissing('airflow'))

/** An Airflow with a database of its own, whose workers have `tailrace` on their PATH. */
interface TestAirflow {
  /** Runs a DAG of a folder as `airflow dags test` does: every task in a process of its own code, in order. */
  runDag(dag: string, folder: string): Promise<ToolRun>
  /** The events of assets: the asset, and what the event says. */
  events(): Promise<readonly (readonly [string, unknown])[]>
  /** The states of the tasks of the newest run. */
  states(): Promise<Readonly<Record<string, string>>>
  readonly storage: TestStorage
  readonly env: Readonly<Record<string, string>>
}

async function startAirflow(t: TestContext, wrapper: string): Promise<TestAirflow> {
  const home = await temporaryDirectory(t)
  const storage = await startStorage(t)
  const bin = join(home, 'bin')
  await mkdir(bin)
  await writeFile(join(bin, 'tailrace'), wrapper)
  await chmod(join(bin, 'tailrace'), 0o755)
  const env = {
    AIRFLOW_HOME: home,
    AIRFLOW__CORE__LOAD_EXAMPLES: 'False',
    PATH: `${bin}${delimiter}${process.env.PATH}`,
    AZURE_STORAGE_CONNECTION_STRING: storage.connectionString,
    TAILRACE_CONTAINER: 'logs',
    TAILRACE_PRIMARY: 'primary/',
    TAILRACE_REPLICA: 'replica/',
    TAILRACE_CONFIG: join(projectRoot, 'pipeline.config.ts'),
    TAILRACE_LAKEHOUSE: join(home, 'lakehouse'),
    TAILRACE_STATE: join(home, 'state'),
  }
  const migrated = await runTool(tools.airflow, ['db', 'migrate'], { env, cwd: home })
  assert.equal(migrated.code, 0, migrated.stderr)
  const python = join(tools.airflow, '../python')
  const ask = async (sql: string): Promise<(readonly [string, string])[]> => {
    const script =
      'import json, sqlite3, sys; print(json.dumps(sqlite3.connect(sys.argv[1]).execute(sys.argv[2]).fetchall()))'
    const { stdout } = await runTool(python, ['-c', script, join(home, 'airflow.db'), sql])
    return JSON.parse(stdout) as (readonly [string, string])[]
  }
  return {
    storage,
    env,
    runDag: (dag, folder) =>
      runTool(tools.airflow, ['dags', 'test', dag], {
        env: { ...env, AIRFLOW__CORE__DAGS_FOLDER: folder },
        cwd: home,
      }),
    events: async () =>
      (
        await ask(
          'select asset.uri, asset_event.extra from asset_event join asset on asset.id = asset_id order by asset_event.id',
        )
      ).map(([uri, extra]) => [uri, JSON.parse(extra)]),
    states: async () =>
      Object.fromEntries(
        await ask(
          'select task_id, state from task_instance where run_id = (select run_id from dag_run order by id desc limit 1) order by task_id',
        ),
      ),
  }
}

const program = `"${process.execPath}" "${join(projectRoot, 'bin/tailrace.js')}"`
const tableOf = (server: string): string =>
  `tailrace://vitality_lakehouse_uat/pg_archive_sync/${server}_postgresql_logs_uat`

test('the DAG drains each server, verifies it, and leaves an event of the asset of each table that has new rows', {
  skip,
}, async (t) => {
  const airflow = await startAirflow(t, `#!/bin/sh\nexec ${program} "$@"\n`)
  const { storage } = airflow
  await storage.append('primary/a.ndjson', linesAsBytes([jsonlogLine(1), 'no JSON', jsonlogLine(2)]))
  await storage.append('replica/a.ndjson', linesAsBytes([jsonlogLine(3)]))
  const folder = join(projectRoot, 'deploy/airflow')
  const first = await airflow.runDag('tailrace_drain', folder)
  assert.equal(first.code, 0, first.stdout + first.stderr)
  const all = { drain_primary: 'success', drain_replica: 'success', verify_primary: 'success' }
  assert.deepEqual(await airflow.states(), { ...all, verify_replica: 'success' }, first.stdout)
  assert.deepEqual((await airflow.events()).toSorted(), [
    [tableOf('primary'), { rows: 3, rejected: 1 }],
    [tableOf('replica'), { rows: 1, rejected: 0 }],
  ])

  // Only the primary has logged since: the other table has no new event.
  await storage.append('primary/a.ndjson', linesAsBytes([jsonlogLine(4)]))
  const second = await airflow.runDag('tailrace_drain', folder)
  assert.equal(second.code, 0, second.stdout + second.stderr)
  const skipped = { drain_replica: 'skipped', verify_replica: 'skipped' }
  assert.deepEqual(await airflow.states(), { ...all, ...skipped })
  assert.deepEqual((await airflow.events()).slice(2), [[tableOf('primary'), { rows: 1, rejected: 0 }]])
})

test('the backfill DAG has its units written by mapped tasks, and lands them in one commit', {
  skip,
}, async (t) => {
  const airflow = await startAirflow(t, `#!/bin/sh\nexec ${program} "$@"\n`)
  const { storage } = airflow
  // More than one unit: the plan takes 256 MiB for one, so parts of it are asked for by a smaller number here.
  const lines = Array.from({ length: 6_000 }, (_, index) => jsonlogLine(index))
  await storage.append('primary/a.ndjson', linesAsBytes(lines))
  await storage.append('primary/b.ndjson', linesAsBytes(lines.slice(0, 3)))
  const dags = await temporaryDirectory(t)
  for (const file of ['tailrace_operator.py', 'tailrace_backfill.py']) {
    const text = await readFile(join(projectRoot, 'deploy/airflow', file), 'utf8')
    await writeFile(join(dags, file), text.replace('unit_mib: int = 256', 'unit_mib: int = 1'))
  }
  const run = await airflow.runDag('tailrace_backfill', dags)
  assert.equal(run.code, 0, run.stdout + run.stderr)
  const states = await airflow.states()
  const success = { plan_primary: 'success', write_primary: 'success', commit_primary: 'success' }
  // The replica has no blob: nothing is mapped, and what follows is skipped.
  assert.deepEqual(
    states,
    {
      ...success,
      verify_primary: 'success',
      plan_replica: 'success',
      write_replica: 'skipped',
      commit_replica: 'skipped',
      verify_replica: 'skipped',
    },
    run.stdout,
  )
  const [[uri, extra], ...others] = (await airflow.events()) as [
    readonly [string, { rows: number; units: number }],
  ]
  assert.deepEqual([uri, extra.rows, others], [tableOf('primary'), lines.length + 3, []])
  assert.ok(extra.units > 1, JSON.stringify(extra))
})

const retriedDag = `
import sys
from datetime import datetime, timedelta, timezone
sys.path.insert(0, ${JSON.stringify(join(projectRoot, 'deploy/airflow'))})
from airflow.sdk import DAG, Asset
from tailrace_operator import TailraceDrainOperator
with DAG(dag_id="retried", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=timezone.utc)):
    TailraceDrainOperator(
        task_id="drain", pipeline="primary", asset=Asset("tailrace://primary"), retries=1, retry_delay=timedelta(seconds=1)
    )
`

test('an attempt that lands rows and then fails is retried without a second copy of them, and the table still has its event', {
  skip,
}, async (t) => {
  // The worker is lost after the commit, once.
  const airflow = await startAirflow(
    t,
    `#!/bin/sh\nif [ -e "$AIRFLOW_HOME/lost" ]; then exec ${program} "$@"; fi\n${program} "$@"; touch "$AIRFLOW_HOME/lost"; exit 1\n`,
  )
  await airflow.storage.append('primary/a.ndjson', linesAsBytes([jsonlogLine(1), jsonlogLine(2)]))
  const folder = join(airflow.env.AIRFLOW_HOME!, 'dags')
  await mkdir(folder)
  await writeFile(join(folder, 'retried.py'), retriedDag)
  const run = await airflow.runDag('retried', folder)
  assert.deepEqual(await airflow.states(), { drain: 'success' }, run.stdout + run.stderr)
  assert.deepEqual(await airflow.events(), [['tailrace://primary/', { rows: 0, rejected: 0 }]])
  const counted = await runTool(
    process.execPath,
    ['bin/tailrace.js', 'query', '--json', 'SELECT count(*)::INTEGER AS n FROM logs'],
    {
      env: airflow.env,
    },
  )
  assert.deepEqual(JSON.parse(counted.stdout), { n: 2 })
})

const verifiedDag = `
import sys
from datetime import datetime, timedelta, timezone
sys.path.insert(0, ${JSON.stringify(join(projectRoot, 'deploy/airflow'))})
from airflow.sdk import DAG
from tailrace_operator import TailraceVerifyOperator
with DAG(dag_id="verified", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=timezone.utc)):
    TailraceVerifyOperator(task_id="verify", pipeline="primary", retries=1, retry_delay=timedelta(seconds=1))
`

test('a verify that cannot reach storage is retried, and one that finds a gap fails at once and names it', {
  skip,
}, async (t) => {
  const incomplete = JSON.stringify({
    complete: false,
    blobs: [
      { blob: 'logs/primary/a.ndjson', complete: true },
      { blob: 'logs/primary/b.ndjson', complete: false },
    ],
  })
  // The first attempt finds nothing at the address of storage; once there is the file `gap`, a gap is found.
  const airflow = await startAirflow(
    t,
    `#!/bin/sh
case "$1" in verify) ;; *) exec ${program} "$@" ;; esac
echo attempt >> "$AIRFLOW_HOME/attempts"
if [ -e "$AIRFLOW_HOME/gap" ]; then echo '${incomplete}'; exit 1; fi
if [ -e "$AIRFLOW_HOME/away" ]; then exec ${program} "$@"; fi
touch "$AIRFLOW_HOME/away"
AZURE_STORAGE_CONNECTION_STRING=$(echo "$AZURE_STORAGE_CONNECTION_STRING" | sed -E 's#:[0-9]+/#:1/#') exec ${program} "$@"
`,
  )
  const home = airflow.env.AIRFLOW_HOME!
  const attempts = async (): Promise<number> =>
    (await readFile(join(home, 'attempts'), 'utf8')).split('\n').length - 1
  // The blank line has no row, so that verify has to read it.
  await airflow.storage.append('primary/a.ndjson', linesAsBytes([jsonlogLine(1), '', jsonlogLine(2)]))
  const drained = await runTool(
    process.execPath,
    ['bin/tailrace.js', 'start', '--once', '--pipeline', 'primary'],
    { env: airflow.env },
  )
  assert.equal(drained.code, 0, drained.stderr)
  const folder = join(home, 'dags')
  await mkdir(folder)
  await writeFile(join(folder, 'verified.py'), verifiedDag)
  const away = await airflow.runDag('verified', folder)
  assert.deepEqual(await airflow.states(), { verify: 'success' }, away.stdout + away.stderr)
  assert.equal(await attempts(), 2)

  await writeFile(join(home, 'gap'), '')
  const gap = await airflow.runDag('verified', folder)
  assert.deepEqual(await airflow.states(), { verify: 'failed' }, gap.stdout + gap.stderr)
  assert.equal(await attempts(), 3)
  assert.match(gap.stdout + gap.stderr, /do not cover its offsets: logs\/primary\/b\.ndjson\./)
})
