import type { PostgresPair } from '../postgres-pair.ts'
import { readScript } from './read-script.ts'

const database = 'shop'

/** Lets everything go wrong once that can go wrong beside running traffic, in about six seconds. */
export async function runIncidents(pair: PostgresPair): Promise<void> {
  const { primary, replica } = pair
  const operator = { database, onError: 'continue' } as const

  await primary.psql(await readScript('mistakes'), { ...operator, applicationName: 'console' })
  await primary.psql(await readScript('storefront'), { ...operator, user: 'storefront', over: 'socket' })
  await primary.psql(longStatements(), { ...operator, applicationName: 'bulk import' })
  await failToConnect(pair)
  await Promise.all([
    primary.psql(await readScript('maintenance'), {
      ...operator,
      applicationName: 'maintenance',
      over: 'socket',
    }),
    replica.psql(await readScript('replica-mistakes'), { ...operator, applicationName: 'console' }),
  ])
  await contend(pair)
  await loseSessions(pair)
  await conflictWithRecovery(pair)
}

/** Statements of 20 kB and 90 kB: the server writes the longer one to its collector in many pieces. */
function longStatements(): string {
  const ids = Array.from({ length: 4_000 }, (_, index) => (index * 7_919) % 100_003)
  const rows = Array.from({ length: 700 }, (_, index) => {
    return `  ('import', '{"line": ${index}, "title": "Größe ${index % 47}, \\"schön\\" – 靴 👟", "sku": "SKU-${index * 7_919}"}')`
  })
  return `select count(*) from customers where id in (${ids.join(', ')});
insert into events (kind, payload) values
${rows.join(',\n')};
`
}

async function failToConnect({ primary, replica }: PostgresPair): Promise<void> {
  const onError = 'continue'
  await primary.psql('select 1', { database, onError, user: 'reporting', password: 'wrong-on-purpose' })
  await replica.psql('select 1', { database, onError, user: 'reporting', password: 'wrong-on-purpose' })
  await primary.psql('select 1', { database, onError, user: 'intruder' })
  await primary.psql('select 1', { database, onError, user: 'Größe-Ünïcode', applicationName: 'Müller' })
  await primary.psql('select 1', { database: 'warehouse', onError })
}

/** Lock waits, deadlocks and serialization failures, each by a few clients at once. */
async function contend({ primary }: PostgresPair): Promise<void> {
  const [deadlock, serializable] = await Promise.all([readScript('deadlock'), readScript('serializable')])
  await Promise.all([
    primary.pgbench(['--client=4', '--transactions=4'], {
      database,
      script: deadlock,
      applicationName: 'stock',
    }),
    primary.pgbench(['--client=4', '--transactions=10', '--max-tries=3', '--rate=40'], {
      ...{ database, script: serializable, applicationName: 'planner' },
    }),
  ])
}

/** Sessions that end in other ways than by saying goodbye. */
async function loseSessions({ primary, replica }: PostgresPair): Promise<void> {
  const operator = { database, onError: 'continue' } as const
  // The shell's parent is psql itself: a client that dies without a word.
  const dieInTransaction = 'begin;\nselect count(*) from products;\n\\! kill -9 $PPID\n'
  await Promise.all([
    primary.psql(dieInTransaction, { ...operator, applicationName: 'lost laptop' }),
    replica.psql(dieInTransaction, { ...operator, applicationName: 'lost laptop' }),
    primary.psql(
      "set idle_in_transaction_session_timeout = '50ms';\nbegin;\nselect 1;\n\\! sleep 0.2\nselect 2;\n",
      operator,
    ),
    primary.psql("set idle_session_timeout = '50ms';\nselect 1;\n\\! sleep 0.2\nselect 2;\n", operator),
    primary.psql(endSleepers('pg_cancel_backend', 'canceled'), operator),
    primary.psql(endSleepers('pg_terminate_backend', 'terminated'), operator),
    replica.psql(endSleepers('pg_cancel_backend', 'canceled'), operator),
    ...[primary, replica, primary].map((server, index) =>
      server.psql('select pg_sleep(20)', {
        ...operator,
        applicationName: index === 2 ? 'terminated' : 'canceled',
      }),
    ),
  ])
}

/** Waits until the session of that name sleeps, then ends its statement or the session. */
function endSleepers(how: 'pg_cancel_backend' | 'pg_terminate_backend', applicationName: string): string {
  const sleepers = `from pg_stat_activity where application_name = '${applicationName}' and wait_event = 'PgSleep'`
  return `do $$
begin
  for attempt in 1..200 loop
    exit when exists (select ${sleepers});
    perform pg_sleep(0.02), pg_stat_clear_snapshot();
  end loop;
end
$$;
select ${how}(pid) ${sleepers};
`
}

/** The replica cancels what keeps it from replaying the primary's changes. */
async function conflictWithRecovery({ primary, replica, catchUp }: PostgresPair): Promise<void> {
  const operator = { database, onError: 'continue' } as const
  await primary.psql(
    'create table carts (id integer); insert into carts select generate_series(1, 1000);',
    operator,
  )
  await catchUp()
  const signalsReady = "select 'ready' from carts limit 1;\n"
  const conflicts = [
    replica.psql(`begin isolation level repeatable read;\n${signalsReady}select pg_sleep(10);\n`, operator),
    replica.psql(`begin;\n${signalsReady}\\! sleep 2\nselect count(*) from carts;\n`, operator),
  ]
  await replica.psql(
    `do $$
begin
  for attempt in 1..200 loop
    exit when (select count(distinct pid) from pg_locks where relation = 'carts'::regclass and pid <> pg_backend_pid()) = 2;
    perform pg_sleep(0.02);
  end loop;
end
$$;`,
    operator,
  )
  await primary.psql('delete from carts where id < 900; vacuum carts; drop table carts;', operator)
  await Promise.all(conflicts)
  await catchUp()
}
