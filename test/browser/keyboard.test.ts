import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import type { Browser } from 'playwright-core'
import { sharedHooks } from '../support/shared-hooks.ts'
import { needsChromium, openWindow } from './chromium.ts'
import { tabTo, walkControls } from './focus.ts'
import { rooms, settled } from './rooms.ts'
import { type ServedPage, servePageOfFollowedSample } from './served-page.ts'

const hooks = sharedHooks()
let served: ServedPage
let browser: Browser

before(async () => {
  if (needsChromium !== false) return
  ;({ served, browser } = await servePageOfFollowedSample(hooks))
})

for (const [room, ready] of Object.entries(rooms))
  test(`each control of ${room} is reached by Tab, has a name, and is seen to have the focus`, {
    skip: needsChromium,
  }, async () => {
    const { page, problems } = await openWindow(browser, { url: `${served.url}#/${room}` })
    await ready(page)
    await settled(page)
    // A report has a link in each row.
    await walkControls(page, 150)
    assert.deepEqual(problems, [])
    await page.context().close()
  })

test('verify runs by keyboard, and the period of the commits changes', { skip: needsChromium }, async () => {
  const { page, problems } = await openWindow(browser, { url: served.url })
  await rooms.operate(page)
  await tabTo(page, '15 min')
  await page.keyboard.press('Space')
  assert.equal(await page.getByRole('button', { name: '15 min' }).getAttribute('aria-pressed'), 'true')
  await tabTo(page, /^Verify now/)
  await page.keyboard.press('Enter')
  await page.getByText(/Every byte of 2 blobs is accounted for/).waitFor()
  assert.deepEqual(problems, [])
  await page.context().close()
})

test('records are filtered, followed and read by keyboard alone', { skip: needsChromium }, async () => {
  const { page, problems } = await openWindow(browser, { url: served.url })
  await rooms.operate(page)
  await page.keyboard.press('2')
  await rooms.explore(page)
  await page.keyboard.press('/')
  await page.keyboard.type('deadlock')
  await page.getByText(/^\d+ match/).waitFor()
  await tabTo(page, /All records/)
  await page.keyboard.press('Enter')
  await page.locator('.sheet').waitFor()
  await page.keyboard.press('Escape')
  await page.locator('.sheet').waitFor({ state: 'detached' })
  // The focus is back on the button of the menu.
  await tabTo(page, /Follow/, 1)
  await page.keyboard.press('Space')
  await page.waitForURL(/live=1/)
  await page.keyboard.press('Space')
  await page.waitForURL((url) => !url.hash.includes('live=1'))
  await tabTo(page, /^ERROR/)
  await page.keyboard.press('Space')
  await page.waitForURL(/severity=ERROR/)
  await tabTo(page, /^Records, newest first/)
  for (const key of ['j', 'j', 'k', 'Enter']) await page.keyboard.press(key)
  const panel = page.getByRole('complementary', { name: 'Record' })
  await panel.waitFor()
  const first = page.url()
  await page.keyboard.press('j')
  await page.waitForURL((url) => url.href !== first)
  await tabTo(page, /^Copy/)
  await tabTo(page, /^Close/)
  const second = page.url()
  await panel.getByRole('list').getByRole('button', { name: /^[+−]/ }).first().press('Enter')
  await page.waitForURL((url) => url.href !== second)
  await page.waitForFunction('document.activeElement.ariaLabel === "Contents of the record"')
  await page.keyboard.press('Shift+Tab')
  await page.keyboard.press('Enter')
  await panel.waitFor({ state: 'detached' })
  await page.waitForFunction('document.activeElement.role === "grid"')
  assert.deepEqual(problems, [])
  await page.context().close()
})

test('a section of the report, its order and its records are reached by keyboard', {
  skip: needsChromium,
}, async () => {
  const { page, problems } = await openWindow(browser, { url: `${served.url}#/report` })
  await rooms.report(page)
  await tabTo(page, 'Statements')
  await page.keyboard.press('Enter')
  const section = page.getByRole('region', { name: 'Statements', exact: true })
  assert.equal(await page.evaluate('document.activeElement.id'), 'statements')
  await tabTo(page, 'Calls')
  await page.keyboard.press('Enter')
  await section.getByRole('columnheader', { name: 'Calls' }).first().waitFor()
  assert.match((await section.locator('th[aria-sort]').first().textContent()) ?? '', /^Calls /)
  await tabTo(page, 'Show')
  await page.keyboard.press('Enter')
  await page.waitForURL(/#\/explore\?/)
  await page.getByRole('row').first().waitFor()
  assert.deepEqual(problems, [])
  await page.context().close()
})

test('a statement is written, run and exported by keyboard, and Tab leaves the editor', {
  skip: needsChromium,
}, async () => {
  const { page, problems } = await openWindow(browser, { url: served.url })
  await rooms.operate(page)
  await page.keyboard.press('4')
  await rooms.ask(page)
  await page.keyboard.press('/')
  await page.keyboard.type('select severity, count(*) as records from logs group by all ')
  await page.keyboard.press('Control+Enter')
  const result = page.getByRole('region', { name: 'Result', exact: true })
  await result.getByRole('cell', { name: 'LOG', exact: true }).waitFor()
  await tabTo(page, 'Run', 1)
  await tabTo(page, 'Chart')
  await page.keyboard.press('Enter')
  await result.getByText('FATAL', { exact: true }).waitFor()
  await tabTo(page, 'Export the whole result')
  await page.keyboard.press('Enter')
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    tabTo(page, 'CSV').then(() => page.keyboard.press('Enter')),
  ])
  assert.equal(download.suggestedFilename(), 'result.csv')
  await page.keyboard.press('?')
  const help = page.getByRole('dialog', { name: 'Keyboard' })
  await help.waitFor()
  await page.keyboard.press('Escape')
  await help.waitFor({ state: 'detached' })
  assert.deepEqual(problems, [])
  await page.context().close()
})
