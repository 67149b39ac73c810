import assert from 'node:assert/strict'
import { join } from 'node:path'
import { before, test } from 'node:test'
import type { Browser, Page } from 'playwright-core'
import { frequentText, makePageTable, type PageTable, rareText } from '../../bench/measures/page-table.ts'
import type { Clock } from '../../src/clock.ts'
import { systemClock } from '../../src/clock.ts'
import { resolveConfig } from '../../src/config/resolve.ts'
import type { ResolvedConfig } from '../../src/config/resolved.ts'
import { postgresLogs } from '../../src/tables/postgres/logs.ts'
import { type ServedPage, servePage } from '../page/served-page.ts'
import { eventually } from '../support/eventually.ts'
import { sharedHooks } from '../support/shared-hooks.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { needsChromium, openBrowser, openWindow } from './chromium.ts'

/** More than the first part of a search has. */
const rows = 420_000

const hooks = sharedHooks()
let table: PageTable
let browser: Browser

before(async () => {
  if (needsChromium !== false) return
  table = await makePageTable({ rows, days: 4 }, await temporaryDirectory(hooks), () => {})
  browser = await openBrowser(hooks)
})

async function configOfTable(): Promise<ResolvedConfig> {
  const directory = await temporaryDirectory(hooks)
  return resolveConfig(
    {
      stateDirectory: join(directory, 'state'),
      pipelines: {
        page: {
          source: {
            storage: { kind: 'connection-string', connectionString: 'UseDevelopmentStorage=true' },
            container: 'bench',
            blobs: 'nothing.ndjson',
          },
          table: postgresLogs(table.name),
          sink: { kind: 'delta', root: table.root, optimize: false },
        },
      },
    },
    directory,
  )
}

/** Every part of a search takes long of its time. */
class SlowClock implements Clock {
  #aheadMs = 0

  now(): number {
    return systemClock.now() + this.#aheadMs
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return systemClock.sleep(ms, signal)
  }

  after(ms: number, fire: () => void): () => void {
    this.#aheadMs += 25_000
    return systemClock.after(ms, fire)
  }
}

/** Keeps both engines of the page busy. @returns a function that ends that */
async function keepEnginesBusy(page: ServedPage): Promise<() => Promise<void>> {
  const ids = ['first', 'second']
  const ends = ids.map((id) =>
    page.fetch('/api/sql', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ id, sql: 'select count(*) from logs a, logs b where a.message < b.message' }),
    }),
  )
  return async () => {
    for (const id of ids) await page.fetch(`/api/sql/${id}`, { method: 'DELETE' })
    for (const end of ends) assert.equal((await (await end).json()).error?.code, 'CANCELED')
  }
}

interface ColoredColumns {
  /** Columns of pixels with the color of records that are not counted. */
  readonly uncounted: readonly number[]
  /** Columns with the color of records of severity LOG. */
  readonly counted: readonly number[]
}

/** Reads the chart as it is painted. */
async function coloredColumns(page: Page): Promise<ColoredColumns> {
  return (await page.evaluate(`(() => {
    const canvas = document.querySelector('.histogram canvas')
    const { data, width, height } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height)
    const columnsOf = (variable) => {
      const probe = document.body.appendChild(document.createElement('span'))
      probe.style.color = 'var(' + variable + ')'
      const [r, g, b] = getComputedStyle(probe).color.match(/[0-9]+/g).map(Number)
      probe.remove()
      const columns = []
      for (let x = 0; x < width; x += 1) {
        let pixels = 0
        for (let y = 0; y < height; y += 1) {
          const at = (y * width + x) * 4
          if (data[at] === r && data[at + 1] === g && data[at + 2] === b) pixels += 1
        }
        if (pixels > 5) columns.push(x)
      }
      return columns
    }
    return { uncounted: columnsOf('--uncounted'), counted: columnsOf('--level-log') }
  })()`)) as ColoredColumns
}

/** Waits for a chart as wanted: it is painted after the texts beside it have changed. */
async function paintedColumns(
  page: Page,
  isWanted: (columns: ColoredColumns) => boolean,
): Promise<ColoredColumns> {
  let columns = await coloredColumns(page)
  await eventually(async () => {
    columns = await coloredColumns(page)
    return isWanted(columns)
  }, 'painted columns as wanted')
  return columns
}

test('records that are not counted yet are gray, and a button counts them after a pause', {
  skip: needsChromium,
}, async (t) => {
  const served = await servePage(t, await configOfTable())
  const middleMs = (table.fromMs + table.toMs) / 2
  await served.json(`/api/histogram?fromMs=${middleMs}&toMs=${table.toMs}`)
  const endBusy = await keepEnginesBusy(served)
  const { page, problems } = await openWindow(browser, { url: served.url })
  await page.clock.install()
  await page.getByRole('link', { name: 'Explore' }).click()

  const panel = page.getByRole('region', { name: 'Records over time' })
  await panel.getByText(/^Counting: exact back to/).waitFor()
  await panel.getByRole('list').getByText('not counted yet').waitFor()
  await page.getByText(/^about 420K match/).waitFor()
  const { uncounted, counted } = await paintedColumns(
    page,
    (columns) => columns.uncounted.length > 100 && columns.counted.length > 100,
  )
  assert.ok(Math.max(...uncounted) <= Math.min(...counted), 'counted and estimated records are mixed')

  const older = panel.getByRole('button', { name: 'Count older records' })
  assert.equal(await older.count(), 0)
  await page.clock.fastForward(21_000)
  await older.waitFor()
  await panel.getByText(/^Counted: exact back to/).waitFor()
  await endBusy()
  await older.click()
  await page.getByText(/^420,000 match/).waitFor()
  await panel.getByRole('list').getByText('not counted yet').waitFor({ state: 'detached' })
  const whole = await paintedColumns(page, (columns) => columns.uncounted.length === 0)
  assert.ok(Math.min(...whole.counted) <= Math.min(...uncounted), 'the oldest records are missing')
  assert.deepEqual(problems, [])
  await page.context().close()
})

test('a search that found too little in its time says how far it has looked, and a button goes on', {
  skip: needsChromium,
}, async (t) => {
  const served = await servePage(t, await configOfTable(), {}, new SlowClock())
  const { page, problems } = await openWindow(browser, {
    url: `${served.url}#/explore?q=${encodeURIComponent(rareText)}`,
  })
  const records = page.getByRole('region', { name: 'Records', exact: true })
  const older = records.getByRole('button', { name: 'Search older records' })
  await older.waitFor()
  await records.getByText(/searched back to 2026-11-2\d/).waitFor()
  assert.equal(await page.getByRole('row').count(), 0)
  await older.focus()
  await page.keyboard.press('Enter')
  await page.getByRole('row').nth(3).waitFor()
  assert.equal(await page.getByRole('row').count(), 4)
  // Records without a time, such as rejected lines, come last.
  await older.click()
  await older.waitFor({ state: 'detached' })

  // A frequent text fills its page at once.
  await page.goto(`${served.url}#/explore?q=${frequentText}`)
  await page.getByRole('row').nth(9).waitFor()
  assert.equal(await older.count(), 0)
  assert.deepEqual(problems, [])
  await page.context().close()
})
