import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { before, test } from 'node:test'
import type { Browser, Page } from 'playwright-core'
import { sharedHooks } from '../support/shared-hooks.ts'
import { needsChromium, openWindow } from './chromium.ts'
import { rooms } from './rooms.ts'
import { type ServedPage, servePageOfFollowedSample } from './served-page.ts'

const hooks = sharedHooks()
let served: ServedPage
let browser: Browser

before(async () => {
  if (needsChromium !== false) return
  ;({ served, browser } = await servePageOfFollowedSample(hooks))
})

/** The number of matching records that Explore states. */
async function matches(page: Page): Promise<number> {
  const text = await page
    .getByRole('region', { name: 'Records', exact: true })
    .getByRole('status')
    .textContent()
  return Number(/([\d,]+) match/.exec(text ?? '')?.[1]?.replaceAll(',', ''))
}

/** Waits until Explore states another number of matching records, and all of it has been fetched. */
async function otherMatches(page: Page, before: number): Promise<number> {
  const until = Date.now() + 120_000
  for (;;) {
    // In this order: the number changes before the last reply is there.
    const now = await matches(page)
    const busy = await page.locator('[aria-busy=true]').count()
    if (busy === 0 && !Number.isNaN(now) && now !== before) return now
    assert.ok(Date.now() < until, `still ${now} matches`)
    await page.waitForTimeout(50)
  }
}

test('rows that the writer appends appear while one watches, and records while one follows', {
  skip: needsChromium,
}, async () => {
  const { page, problems } = await openWindow(browser, { url: served.url })
  const rows = page.getByRole('region', { name: 'Pipeline primary' }).getByText(/^version [\d,]+$/)
  const versionOf = async (): Promise<number> => Number((await rows.textContent())?.replace(/\D/g, ''))
  const first = await versionOf()
  for (const until = Date.now() + 60_000; (await versionOf()) <= first; await page.waitForTimeout(200))
    assert.ok(Date.now() < until, `still version ${first}`)
  await page.getByRole('link', { name: 'Explore' }).click()
  await page.getByRole('row').first().waitFor()
  await page.getByRole('button', { name: 'Follow' }).click()
  await page.getByText(/[1-9]\d* new since following/).waitFor()
  assert.match(page.url(), /live=1/)
  assert.deepEqual(problems, [])
})

test('a part of the time that is brushed narrows everything, and the back button widens it again', {
  skip: needsChromium,
}, async () => {
  const { page, problems } = await openWindow(browser, { url: `${served.url}#/explore` })
  const all = await otherMatches(page, Number.NaN)
  const chart = page.getByRole('application', { name: /records/ })
  const box = (await chart.boundingBox())!
  await page.mouse.move(box.x + box.width * 0.3, box.y + 60)
  await page.mouse.down()
  await page.mouse.move(box.x + box.width * 0.5, box.y + 60, { steps: 5 })
  await page.mouse.up()
  const brushed = await otherMatches(page, all)
  assert.ok(brushed > 0 && brushed < all, `${brushed} of ${all}`)
  assert.match(page.url(), /fromMs=\d+&toMs=\d+/)
  await page.goBack()
  assert.equal((await otherMatches(page, brushed)) >= all, true)
  assert.doesNotMatch(page.url(), /fromMs/)

  await chart.focus()
  for (const key of ['ArrowRight', 'ArrowRight', 'Shift+ArrowRight', 'Shift+ArrowRight', 'Enter'])
    await page.keyboard.press(key)
  const byKeys = await otherMatches(page, all)
  assert.ok(byKeys > 0 && byKeys < all, `${byKeys} of ${all}`)
  assert.deepEqual(problems, [])
})

test('a search and a filter leave the records that match, and a link brings both back', {
  skip: needsChromium,
}, async () => {
  const { page, problems } = await openWindow(browser, { url: `${served.url}#/explore` })
  const all = await otherMatches(page, Number.NaN)
  await page.keyboard.press('/')
  await page.keyboard.type('deadlock')
  const found = await otherMatches(page, all)
  assert.ok(found > 0 && found < 1_000, `${found}`)
  const rows = await page.getByRole('row').allInnerTexts()
  assert.ok(rows.length > 0)
  for (const row of rows) assert.match(row, /deadlock/i)
  await page.getByRole('checkbox', { name: /^ERROR/ }).check()
  const errors = await otherMatches(page, found)
  assert.ok(errors > 0 && errors < found, `${errors} of ${found}`)

  const linked = await openWindow(browser, { url: page.url() })
  assert.equal(await otherMatches(linked.page, Number.NaN), errors)
  assert.equal(await linked.page.getByRole('searchbox').inputValue(), 'deadlock')
  assert.equal(await linked.page.getByRole('checkbox', { name: /^ERROR/ }).isChecked(), true)
  assert.deepEqual([...problems, ...linked.problems], [])
})

test('times are shown in UTC or in the zone that the URL names, in every room', {
  skip: needsChromium,
}, async () => {
  const { page, problems } = await openWindow(browser, {
    url: `${served.url}#/explore?q=deadlock&tz=Asia/Kathmandu`,
  })
  await page.getByRole('row').first().click()
  const time = page.getByRole('complementary', { name: 'Record' }).locator('.record-panel-time')
  const there = (await time.textContent()) ?? ''
  assert.match(there, / \+05:45$/)
  await page.getByRole('button', { name: 'Times in Asia/Kathmandu. Change to UTC' }).click()
  await page.locator('.record-panel-time', { hasText: / UTC$/ }).waitFor()
  const here = (await time.textContent()) ?? ''
  const instant = (text: string): number =>
    Date.parse(text.replace(' ', 'T').replace(' UTC', 'Z').replace(' ', ''))
  assert.equal(instant(there), instant(here))
  assert.doesNotMatch(page.url(), /tz=/)
  await page.goto(`${served.url}#/explore?tz=Asia/Kathmandu`)
  await page.getByRole('link', { name: 'Report' }).click()
  await page.waitForURL(/#\/report\?.*tz=Asia%2FKathmandu/)
  assert.deepEqual(problems, [])
})

test('a record opens by keyboard with its session before and after it', { skip: needsChromium }, async () => {
  const { page, problems } = await openWindow(browser, {
    url: `${served.url}#/explore?severity=ERROR&q=deadlock`,
  })
  await page.getByRole('row').nth(2).waitFor()
  await page.getByRole('grid').focus()
  await page.keyboard.press('ArrowDown')
  await page.keyboard.press('Enter')
  const panel = page.getByRole('complementary', { name: 'Record' })
  const session = panel.getByRole('list', { name: /session around/ })
  await session.getByRole('button').nth(2).waitFor()
  const lines = await session.getByRole('button').allInnerTexts()
  const at = lines.findIndex((line) => line.startsWith('this'))
  assert.ok(at > 0 && at < lines.length - 1, lines.join('\n'))
  await panel.getByText(/^tailrace replay /).waitFor()
  await panel.getByText('All columns').click()
  await panel.getByText('source_offset', { exact: true }).waitFor()

  await page.getByRole('grid').focus()
  await page.keyboard.press('Escape')
  await panel.waitFor({ state: 'detached' })
  assert.deepEqual(problems, [])
})

test('a row of the report leads to the records behind it, and the back button to its section', {
  skip: needsChromium,
}, async () => {
  const { page, problems } = await openWindow(browser, { url: `${served.url}#/report` })
  await page.getByRole('navigation', { name: 'Sections' }).getByRole('button', { name: 'Errors' }).click()
  const section = page.getByRole('region', { name: 'Errors', exact: true })
  await section.getByRole('link', { name: 'Show' }).first().click()
  await page.getByRole('row').first().waitFor()
  assert.match(page.url(), /#\/explore\?fromMs=\d+/)
  assert.ok((await otherMatches(page, Number.NaN)) > 0)
  await page.goBack()
  await rooms.report(page)
  const { y } = (await section.boundingBox())!
  assert.ok(y >= 0 && y < 300, `the section is at ${y}`)
  assert.deepEqual(problems, [])
})

test('the scrollbar leads away from the section that the URL names, and what arrives later does not lead back', {
  skip: needsChromium,
}, async () => {
  const { page, problems } = await openWindow(browser, { url: served.url })
  let arrive = (): void => {}
  const arrived = new Promise<void>((resolve) => {
    arrive = resolve
  })
  await page.route(/\/api\/report\?section=changes/, async (route) => {
    await arrived
    await route.continue()
  })
  await page.goto(`${served.url}#/report?section=errors`)
  const busy = page.locator('.report-section[aria-busy=true]')
  // The last one alone has not arrived, and the page is at the section.
  await page.locator('#replication[aria-busy=false] .report-time').waitFor()
  await page.waitForFunction(
    'Math.abs(document.getElementById("errors").getBoundingClientRect().top - 68) < 2',
  )
  assert.equal(await busy.count(), 1)
  // A drag of the scrollbar has no events but those of its scrolling.
  await page.evaluate('new Promise((resolve) => { addEventListener("scrollend", resolve); scrollTo(0, 40) })')
  arrive()
  await rooms.report(page)
  await busy.waitFor({ state: 'detached' })
  // The page would be moved in the frames after its last change.
  await page.evaluate('new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve, 200)))')
  assert.equal(await page.evaluate('scrollY'), 40)
  assert.deepEqual(problems, [])
})

test('older records that could not be read are asked for again, and those that are there stay', {
  skip: needsChromium,
}, async () => {
  const { page, problems } = await openWindow(browser, { url: served.url })
  const older = /\/api\/records\?.*before=/
  const error = { code: 'BUSY', message: 'Too many statements wait.', hint: 'Try again.' }
  await page.route(older, (route) => route.fulfill({ status: 503, json: { error } }))
  let firstPages = 0
  page.on('request', (request) => {
    const url = request.url()
    if (url.includes('/api/records?') && !older.test(url)) firstPages += 1
  })
  await page.getByRole('link', { name: 'Explore' }).click()
  await page.getByRole('row').nth(9).waitFor()
  await page.getByRole('grid').press('End')
  await page.getByRole('alert').getByText(error.message).waitFor()
  assert.equal(await page.locator('#record-200').count(), 0)
  await page.unroute(older)
  await page.getByRole('alert').getByRole('button', { name: 'Try again' }).click()
  await page.locator('#record-200').waitFor()
  assert.equal(await page.getByRole('alert').count(), 0)
  assert.equal(firstPages, 1)
  assert.deepEqual(problems, [])
})

test('verify on demand says that every byte is accounted for', { skip: needsChromium }, async () => {
  const { page, problems } = await openWindow(browser, { url: served.url })
  await page.getByRole('button', { name: 'Verify now' }).click()
  await page.getByText(/Every byte of 2 blobs is accounted for/).waitFor()
  assert.deepEqual(problems, [])
})

async function writeSql(page: Page, sql: string): Promise<void> {
  await page.getByRole('textbox', { name: 'SQL' }).focus()
  await page.keyboard.press('Control+a')
  // Text that replaces colored text would get a style of the browser's own, which the policy refuses with a message.
  await page.keyboard.press('Delete')
  await page.keyboard.insertText(sql)
  // Completions would lie over the text.
  await page.keyboard.press('Escape')
}

test('a statement runs by keyboard, and its result is a table, a chart and a file', {
  skip: needsChromium,
}, async () => {
  const { page, problems } = await openWindow(browser, { url: `${served.url}#/ask` })
  await writeSql(page, 'select severity, count(*) as records from logs group by all order by records desc')
  await page.keyboard.press('Control+Enter')
  const result = page.getByRole('region', { name: 'Result', exact: true })
  await result.getByRole('cell', { name: 'LOG', exact: true }).waitFor()
  await result.getByRole('button', { name: 'Chart' }).click()
  await result.getByText('FATAL', { exact: true }).waitFor()
  await result.getByRole('button', { name: /Export/ }).click()
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    result.getByRole('link', { name: 'CSV' }).click(),
  ])
  const csv = await readFile(await download.path(), 'utf8')
  assert.match(csv, /^severity,records\r?\nLOG,\d+/)
  assert.deepEqual(problems, [])
})

test('tables, their columns and functions are completed while one writes', {
  skip: needsChromium,
}, async () => {
  const { page, problems } = await openWindow(browser, { url: `${served.url}#/ask` })
  await page.getByText('lock_waits', { exact: true }).waitFor()
  await writeSql(page, 'select  from lock_waits')
  for (let moves = 0; moves < ' from lock_waits'.length; moves += 1) await page.keyboard.press('ArrowLeft')
  await page.keyboard.type('waite')
  await page.getByRole('option', { name: /^waited_ms/ }).waitFor()
  await page.waitForTimeout(100)
  await page.keyboard.press('Tab')
  await page.getByText('select waited_ms from lock_waits').waitFor()
  // Before a statement names a table, too.
  await writeSql(page, 'select ')
  await page.keyboard.type('severi')
  await page.getByRole('option', { name: /^severity(?!_)/ }).waitFor()
  assert.deepEqual(problems, [])
})

test('the back button leads from a running statement to the one before it, with its result, and ends the running one', {
  skip: needsChromium,
}, async () => {
  const { page, problems } = await openWindow(browser, { url: `${served.url}#/ask` })
  const result = page.getByRole('region', { name: 'Result', exact: true })
  await writeSql(page, "select 'the first' as name")
  await page.keyboard.press('Control+Enter')
  await result.getByRole('cell', { name: 'the first' }).waitFor()
  await writeSql(page, 'select count(*) from logs a, logs b where a.message < b.message')
  const ended = page.waitForEvent('requestfailed', (request) => request.url().endsWith('/api/sql'))
  await page.keyboard.press('Control+Enter')
  await page.getByRole('button', { name: 'Cancel' }).waitFor()
  await page.goBack()
  await ended
  await page.getByRole('button', { name: 'Run', exact: true }).waitFor()
  await result.getByRole('cell', { name: 'the first' }).waitFor()
  await page.goForward()
  await result.getByText('No statement has run').waitFor()
  assert.deepEqual(problems, [])
})

test('a statement that takes long is canceled, and a wrong one says what is wrong', {
  skip: needsChromium,
}, async () => {
  const { page, problems } = await openWindow(browser, { url: `${served.url}#/ask` })
  await writeSql(page, 'select count(*) from logs a, logs b where a.message < b.message')
  await page.getByRole('button', { name: 'Run' }).click()
  await page.getByRole('button', { name: 'Cancel' }).click()
  await page.getByRole('alert').getByText('CANCELED', { exact: true }).waitFor()
  await writeSql(page, 'select nothing_of_this from logs')
  await page.getByRole('button', { name: 'Run' }).click()
  await page
    .getByRole('alert')
    .getByText(/nothing_of_this/)
    .waitFor()
  await writeSql(page, "copy logs to '/tmp/stolen.csv'")
  await page.getByRole('button', { name: 'Run' }).click()
  await page
    .getByRole('alert')
    .getByText(/SELECT|read/)
    .first()
    .waitFor()
  assert.deepEqual(problems, [])
})
