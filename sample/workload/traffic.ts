import type { PostgresPair } from '../postgres-pair.ts'
import { readScript } from './read-script.ts'

/**
 * Keeps both servers busy for so many seconds: a shop and TPC-B on the primary, reports on the replica.
 * The rates, in transactions per second, fix the size of the sample on any machine.
 */
export async function runTraffic({ primary, replica }: PostgresPair, seconds: number): Promise<void> {
  const [shopping, reporting] = await Promise.all([readScript('shopping'), readScript('reporting')])
  const database = 'shop'
  const storefront = { database, user: 'storefront', script: shopping }
  const atRate = (perSecond: number, clients: number, ...more: string[]) => [
    ...['--time', String(seconds), '--rate', String(perSecond), '--client', String(clients), ...more],
  ]
  await Promise.all([
    primary.pgbench(atRate(90, 4), { ...storefront, applicationName: 'storefront-web' }),
    primary.pgbench(atRate(90, 4, '--protocol=prepared'), {
      ...storefront,
      applicationName: 'storefront-app',
    }),
    primary.pgbench(atRate(2, 1, '--connect'), { ...storefront, applicationName: 'cron' }),
    primary.pgbench(atRate(24, 2, '--protocol=prepared'), { database, applicationName: 'ledger' }),
    primary.pgbench(atRate(24, 2), { database, applicationName: 'ledger-import', over: 'socket' }),
    replica.pgbench(atRate(90, 2, '--select-only', '--no-vacuum', '--protocol=prepared'), {
      database,
      applicationName: 'ledger-read',
    }),
    replica.pgbench(atRate(60, 2, '--protocol=extended'), {
      ...{ database, user: 'reporting', password: 'not-a-secret' },
      ...{ script: reporting, applicationName: 'dashboard' },
    }),
  ])
}
