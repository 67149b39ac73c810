import type { PostgresPair } from '../postgres-pair.ts'

/** A backend of the primary is killed, so all of its sessions end and it recovers by itself. */
export async function crash({ primary, catchUp }: PostgresPair): Promise<void> {
  const updateAsVictim =
    'select pg_backend_pid() as pid \\gset\n\\setenv BACKEND :pid\nbegin;\nupdate products set stock = 0;\n'
  await Promise.all([
    primary.psql('select pg_sleep(20)', {
      database: 'shop',
      onError: 'continue',
      applicationName: 'bystander',
    }),
    primary.psql(`${updateAsVictim}\\! kill -9 $BACKEND\nselect 1;\n`, {
      database: 'shop',
      onError: 'continue',
    }),
  ])
  await primary.waitUntilReady()
  await catchUp()
}

/** The primary stops and starts again; its replica stays, complains and comes back. */
export async function restartPrimary({ primary, catchUp }: PostgresPair): Promise<void> {
  await primary.stop()
  await primary.start()
  await catchUp()
}
