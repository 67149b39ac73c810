import { spawnSync } from 'node:child_process'

/** The operating system account that owns a server's files and runs its programs. */
export interface ServerAccount {
  readonly uid: number
  readonly gid: number
}

/**
 * @returns the account that the servers run under; `undefined` for the account of this process
 * PostgreSQL refuses to run as root, so root lends them the account `postgres` or `nobody`.
 */
export function serverAccount(): ServerAccount | undefined {
  if (process.getuid?.() !== 0) return undefined
  for (const name of ['postgres', 'nobody']) {
    const [uid, gid] = [idOf('-u', name), idOf('-g', name)]
    if (uid !== undefined && gid !== undefined) return { uid, gid }
  }
  throw new Error('PostgreSQL does not run as root, and there is no account "postgres" or "nobody" to use')
}

function idOf(flag: '-u' | '-g', name: string): number | undefined {
  const { status, stdout } = spawnSync('id', [flag, name], { encoding: 'utf8', timeout: 10_000 })
  return status === 0 ? Number(stdout) : undefined
}
