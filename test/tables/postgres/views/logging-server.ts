import { chmod } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { findPostgres } from '../../../../sample/find-postgres.ts'
import { PostgresServer } from '../../../../sample/postgres-server.ts'
import { serverAccount } from '../../../../sample/server-account.ts'
import { freePort } from '../../../support/free-port.ts'
import { skipUnless } from '../../../support/skip-unless.ts'
import { temporaryDirectory } from '../../../support/temporary-directory.ts'

/** Why a test of a server is skipped, or false. */
export const withoutServer = skipUnless(
  findPostgres() ? false : 'PostgreSQL 15 or newer with pgbench is not installed',
)

/** A server that writes each record to a text log, `postgresql.log`, and to jsonlog. It is not started. */
export async function loggingServer(
  t: TestContext,
  settings: Readonly<Record<string, string>>,
): Promise<PostgresServer> {
  const directory = await temporaryDirectory(t)
  // The server runs under another account.
  await chmod(directory, 0o711)
  const server = new PostgresServer(findPostgres()!, serverAccount(), join(directory, 'pg'), await freePort())
  await server.initialize()
  await server.configure({
    logging_collector: 'on',
    log_destination: 'stderr,jsonlog',
    log_directory: '../log',
    log_filename: 'postgresql.log',
    log_file_mode: '0644',
    log_timezone: 'UTC',
    log_min_duration_statement: '0',
    listen_addresses: '127.0.0.1',
    fsync: 'off',
    ...settings,
  })
  t.after(() => server.stop())
  return server
}
