import { chown, mkdir } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { findPostgres } from './find-postgres.ts'
import { PostgresServer } from './postgres-server.ts'
import { serverAccount } from './server-account.ts'

export { findPostgres } from './find-postgres.ts'

const catchUpLimitMs = 60_000
const catchUpPollMs = 50

/** Settings that log nearly everything, in one file without rotation. */
const loggingSettings = {
  logging_collector: 'on',
  log_destination: 'jsonlog',
  log_directory: '../log',
  log_filename: 'postgresql.log',
  log_file_mode: '0644',
  log_rotation_age: '0',
  log_rotation_size: '0',
  log_timezone: 'UTC',
  log_min_duration_statement: '0',
  log_checkpoints: 'on',
  log_connections: 'on',
  log_disconnections: 'on',
  log_lock_waits: 'on',
  log_recovery_conflict_waits: 'on',
  log_replication_commands: 'on',
  log_autovacuum_min_duration: '0',
  log_temp_files: '0',
  deadlock_timeout: '100ms',
  compute_query_id: 'on',
  track_io_timing: 'on',
}

/** Small, and as fast as a cluster may be that is thrown away. */
const serverSettings = {
  listen_addresses: '127.0.0.1',
  timezone: 'UTC',
  shared_buffers: '32MB',
  max_connections: '60',
  fsync: 'off',
}

/** What to start, and where. */
export interface PostgresPairOptions {
  /** Made when missing. The servers' account must be able to reach it; keep it short: sockets are below it. */
  readonly directory: string
  /** Settings of `postgresql.conf` on both servers, over those of the pair. */
  readonly settings?: Readonly<Record<string, string>>
}

/** A primary and the hot standby that streams from it. */
export interface PostgresPair {
  readonly primary: PostgresServer
  readonly replica: PostgresServer
  /** Waits until the replica streams and shows everything the primary has committed so far. */
  catchUp(): Promise<void>
  /** Stops both servers and removes their data. The logs stay, complete, for the caller to read and remove. */
  stop(): Promise<void>
}

/**
 * Starts a new primary and its streaming replica with this machine's own PostgreSQL, on free ports of the
 * loopback. Works as root too, by running the servers under another account.
 * @throws {Error} when no PostgreSQL is found or a server does not start; nothing is left running then.
 */
export async function startPostgresPair(options: PostgresPairOptions): Promise<PostgresPair> {
  const installation = findPostgres()
  if (!installation) throw new Error('no PostgreSQL 15 or newer with pgbench was found on this machine')
  const account = serverAccount()
  const directory = resolve(options.directory)
  await mkdir(directory, { recursive: true })
  if (account) await chown(directory, account.uid, account.gid)

  const [primaryPort, replicaPort] = await freePorts()
  const primary = new PostgresServer(installation, account, join(directory, 'primary'), primaryPort)
  const replica = new PostgresServer(installation, account, join(directory, 'replica'), replicaPort)

  const catchUp = async () => {
    const position = (await primary.psql('select pg_current_wal_flush_lsn()')).trim()
    const caughtUp = `select 1 from pg_stat_replication where state = 'streaming' and replay_lsn >= '${position}'`
    const deadline = Date.now() + catchUpLimitMs
    while (!(await primary.psql(caughtUp)).trim()) {
      if (Date.now() > deadline) throw new Error(`the replica did not catch up within ${catchUpLimitMs} ms`)
      await delay(catchUpPollMs)
    }
  }

  const stop = async () => {
    // The replica first: a primary that stops waits until its replica has everything.
    await replica.stop()
    await primary.stop()
    await Promise.all([replica.removeData(), primary.removeData()])
  }

  try {
    await primary.initialize()
    await primary.configure({ ...loggingSettings, ...serverSettings, ...options.settings })
    await primary.start()
    await replica.initializeFrom(primary)
    await replica.start()
    await catchUp()
  } catch (error) {
    await stop()
    throw error
  }
  return { primary, replica, catchUp, stop }
}

/** Both ports are held at once, so they differ; another process could still take one before its server does. */
async function freePorts(): Promise<[number, number]> {
  const holders = [createServer(), createServer()] as const
  const hold = (holder: (typeof holders)[number]) =>
    new Promise<number>((resolve, reject) => {
      holder.once('error', reject)
      holder.listen(0, '127.0.0.1', () => resolve((holder.address() as AddressInfo).port))
    })
  const ports = await Promise.all([hold(holders[0]), hold(holders[1])])
  await Promise.all(holders.map((holder) => new Promise((closed) => holder.close(closed))))
  return ports
}
