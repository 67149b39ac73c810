import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { delimiter, join } from 'node:path'

/** `log_destination = jsonlog` exists since PostgreSQL 15. */
const oldestMajor = 15

const programs = ['initdb', 'postgres', 'pg_basebackup', 'pg_isready', 'psql', 'pgbench']

/** Directories with one folder per version, as distributions install PostgreSQL, and the path below each folder. */
const versionedFolders = [
  { folder: '/usr/lib/postgresql', below: 'bin' },
  { folder: '/opt/homebrew/opt', below: 'bin' },
  { folder: '/usr/local/opt', below: 'bin' },
]

/** A PostgreSQL installation that can run the pair. */
export interface PostgresInstallation {
  /** Folder of `postgres`, `initdb`, `psql`, `pgbench` and the rest. */
  readonly bindir: string
  /** The version that the server reports, such as `15.18`. */
  readonly version: string
}

/**
 * Finds the newest PostgreSQL of this machine, or `undefined` when none is there that writes jsonlog.
 * Asks `pg_config`, the folders of Debian and Homebrew, and `PATH`; all programs must be in one folder.
 */
export function findPostgres(): PostgresInstallation | undefined {
  const found: PostgresInstallation[] = []
  for (const bindir of new Set(candidates())) {
    if (!programs.every((program) => existsSync(join(bindir, program)))) continue
    const version = /\d+(\.\d+)*/.exec(output(join(bindir, 'postgres'), '--version'))?.[0]
    if (version && Number.parseInt(version, 10) >= oldestMajor) found.push({ bindir, version })
  }
  return found.sort((a, b) => b.version.localeCompare(a.version, 'en', { numeric: true }))[0]
}

function* candidates(): Generator<string> {
  const configured = output('pg_config', '--bindir').trim()
  if (configured) yield configured
  for (const { folder, below } of versionedFolders) {
    if (!existsSync(folder)) continue
    for (const version of readdirSync(folder)) yield join(folder, version, below)
  }
  yield* (process.env.PATH ?? '').split(delimiter).filter(Boolean)
}

function output(program: string, argument: string): string {
  return spawnSync(program, [argument], { encoding: 'utf8', timeout: 10_000 }).stdout ?? ''
}
