import { createReadStream, createWriteStream } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { createGzip } from 'node:zlib'
import { type PostgresPair, startPostgresPair } from './postgres-pair.ts'
import { summaryRow } from './summary-row.ts'
import { runIncidents } from './workload/incidents.ts'
import { crash, restartPrimary } from './workload/outages.ts'
import { readScript } from './workload/read-script.ts'
import { runTraffic } from './workload/traffic.ts'

/** What one round of incidents takes; the last one should end with the traffic. */
const secondsPerRound = 8

const { values: flags } = parseArgs({
  options: {
    out: { type: 'string', default: fileURLToPath(new URL('logs', import.meta.url)) },
    seconds: { type: 'string', default: '80' },
    directory: { type: 'string' },
  },
})
const seconds = Number(flags.seconds)
if (!(seconds >= 20)) throw new Error(`--seconds must be at least 20, not ${flags.seconds}`)

// The servers' folder is removed afterwards, so it must not be one that was there before. Some lines name it.
const directory = flags.directory ?? (await mkdtemp(join(tmpdir(), 'pg-')))
if (flags.directory) await mkdir(flags.directory)
try {
  const pair = await startPostgresPair({ directory, settings: eventfulSettings() })
  try {
    await runWorkload(pair)
  } finally {
    await pair.stop()
  }
  await mkdir(flags.out, { recursive: true })
  for (const [name, server] of [
    ['primary', pair.primary],
    ['replica', pair.replica],
  ] as const) {
    const recorded = join(flags.out, `${name}.ndjson.gz`)
    await pipeline(
      createReadStream(server.jsonlogPath),
      createGzip({ level: 9 }),
      createWriteStream(recorded),
    )
    console.log(summaryRow(name, await readFile(server.jsonlogPath)))
  }
} finally {
  await rm(directory, { recursive: true, force: true })
}

/** Makes things happen within a minute that take hours on a server with the defaults. */
function eventfulSettings() {
  return {
    fsync: 'on',
    checkpoint_timeout: '30s',
    min_wal_size: '32MB',
    max_wal_size: '48MB',
    autovacuum_naptime: '5s',
    max_standby_streaming_delay: '300ms',
  }
}

/** Two stretches of traffic with incidents beside them, and an outage after each. */
async function runWorkload(pair: PostgresPair): Promise<void> {
  await pair.primary.psql(await readScript('schema'), { over: 'socket' })
  await pair.primary.pgbench(['--initialize', '--quiet', '--scale=2'], { database: 'shop' })
  await pair.catchUp()
  for (const outage of [crash, restartPrimary]) {
    await Promise.all([runTraffic(pair, Math.ceil(seconds / 2)), runIncidentsFor(pair, seconds / 2)])
    await outage(pair)
  }
}

/** As many rounds of incidents as fit, and one in any case. */
async function runIncidentsFor(pair: PostgresPair, seconds: number): Promise<void> {
  const deadline = Date.now() + (seconds - secondsPerRound) * 1000
  do await runIncidents(pair)
  while (Date.now() < deadline)
}
