import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Clock, systemClock } from '../../src/clock.ts'
import { resolveConfig } from '../../src/config/resolve.ts'
import { silentLogger } from '../../src/reporting/logger.ts'
import { Tailrace } from '../../src/run/tailrace.ts'
import { postgresLogs } from '../../src/tables/postgres/logs.ts'
import { lines } from '../commands/command-fixture.ts'
import { eventually } from '../support/eventually.ts'
import { catalog, openWorkspaceBench, schema, type WorkspaceBench } from './workspace-bench.ts'

const minuteMs = 60_000
const tickMs = 15 * minuteMs

/** The machine's clock, but that timers of a minute and more fire when the test moves the time on. */
class MovedClock implements Clock {
  #aheadMs = 0
  #timers = new Set<{ readonly atMs: number; readonly fire: () => void }>()

  now(): number {
    return systemClock.now() + this.#aheadMs
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return systemClock.sleep(ms, signal)
  }

  after(ms: number, fire: () => void): () => void {
    if (ms < minuteMs) return systemClock.after(ms, fire)
    const timer = { atMs: this.now() + ms, fire }
    this.#timers.add(timer)
    return () => void this.#timers.delete(timer)
  }

  moveTo(instantMs: number): void {
    this.#aheadMs += Math.max(0, instantMs - this.now())
    for (const timer of [...this.#timers].sort((a, b) => a.atMs - b.atMs)) {
      if (timer.atMs <= this.now() && this.#timers.delete(timer)) timer.fire()
    }
  }
}

const isLanding = (text: string): boolean =>
  /^(BEGIN ATOMIC|INSERT INTO)/.test(text) && text.includes('read_files(')

/** Two pipelines of one warehouse, each with a blob and a table of its own. */
function twoPipelines(bench: WorkspaceBench, mode: 'transaction' | 'replace-where', batch: object) {
  const { pipelines, ...rest } = bench.rawConfig({ mode, upload: 'files-api' })
  const { primary } = pipelines
  const pairs = [0, 1].map((index) => {
    const blobs = `p${index}.ndjson`
    const table = postgresLogs(`${catalog}.${schema}.p${index}`)
    return [`p${index}`, { ...primary!, source: { ...primary!.source, blobs }, table, batch }] as const
  })
  return resolveConfig({ ...rest, pipelines: Object.fromEntries(pairs) }, bench.directory)
}

for (const [mode, batch] of [
  ['transaction', {}],
  ['replace-where', {}],
  ['replace-where', { landEvery: '1h' }],
] as const) {
  const everyMs = 'landEvery' in batch ? 4 * tickMs : tickMs
  test(`batches of two pipelines that begin at different times land at one instant every ${everyMs / minuteMs} minutes, by mode ${mode}`, async (t) => {
    const bench = await openWorkspaceBench(t)
    const clock = new MovedClock()
    // A minute behind a tick, so that the test itself runs into none.
    const firstTickMs = Math.ceil(clock.now() / everyMs) * everyMs
    clock.moveTo(firstTickMs + minuteMs)
    await bench.storage.append('p0.ndjson', lines(0, 1))
    await bench.storage.append('p1.ndjson', lines(0, 1))
    const config = twoPipelines(bench, mode, batch)
    const tailrace = await Tailrace.open({ config, follow: true, clock, logger: silentLogger })
    const running = tailrace.run()
    const waiting = (index: number): number => tailrace.pipelines[index]?.pulse?.waitingRows ?? 0
    const { log } = bench.workspace
    for (let tick = 1; tick <= 2; tick += 1) {
      const beforeMs = firstTickMs + (tick - 1) * everyMs
      if (tick > 1) await bench.storage.append('p0.ndjson', lines(tick, 1))
      await eventually(async () => waiting(0) === 1, 'row of the first pipeline')
      clock.moveTo(beforeMs + everyMs / 2)
      if (tick > 1) await bench.storage.append('p1.ndjson', lines(tick, 1))
      await eventually(async () => waiting(1) === 1, 'row of the second pipeline')
      const sent = log.statements.length
      clock.moveTo(beforeMs + everyMs - 1_500)
      await systemClock.sleep(200)
      assert.deepEqual(
        log.statements.slice(sent).map(({ text }) => text),
        [],
        'nothing is sent between ticks',
      )
      // A timer is set some milliseconds after its length was calculated.
      clock.moveTo(beforeMs + everyMs + 1_000)
      await eventually(
        async () => tailrace.pipelines.every(({ counters }) => counters.rows === tick),
        'landing at the tick',
      )
      const landings = log.statements.slice(sent)
      assert.deepEqual(
        landings.filter(({ text }) => !isLanding(text)),
        [],
      )
      assert.equal(landings.filter(({ wasExecuted }) => wasExecuted).length, 2)
      assert.equal(landings.length, 2, 'no statement is refused and sent again')
    }
    tailrace.stop()
    await running
    for (const table of ['p0', 'p1']) {
      const rows = await bench.warehouse.rows(`SELECT 1 FROM "${catalog}"."${schema}"."${table}"`)
      assert.equal(rows.length, 2, table)
    }
  })
}
