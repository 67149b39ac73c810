import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { before, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import type { Browser, Page } from 'playwright-core'
import { sharedHooks } from '../support/shared-hooks.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { accessibilityFaults } from './accessibility.ts'
import { needsChromium, openWindow } from './chromium.ts'
import { cutTexts, missedControls, nextStop, walkControls } from './focus.ts'
import { rooms, settled } from './rooms.ts'
import { type ServedPage, servePageOfFollowedSample } from './served-page.ts'

const hooks = sharedHooks()
let served: ServedPage
let browser: Browser

before(async () => {
  if (needsChromium !== false) return
  ;({ served, browser } = await servePageOfFollowedSample(hooks))
})

/** A small telephone, and a tablet or half of a screen. */
const sizes = [
  { width: 320, height: 640 },
  { width: 820, height: 1180 },
] as const

/** A report has a link in each row. */
const maxStops = 400

async function assertWithinWindow(page: Page): Promise<void> {
  const width = await page.evaluate('document.documentElement.scrollWidth - innerWidth')
  assert.equal(width, 0, 'the document scrolls sideways')
  assert.deepEqual(await cutTexts(page), [], 'texts are cut off')
}

for (const size of sizes)
  for (const [room, ready] of Object.entries(rooms))
    test(`${room} fits a window of ${size.width} pixels: nothing is cut off, and Tab reaches each control in full sight`, {
      skip: needsChromium,
    }, async () => {
      const { page, problems } = await openWindow(browser, { url: `${served.url}#/${room}`, size })
      await ready(page)
      await settled(page)
      await assertWithinWindow(page)
      await walkControls(page, maxStops)
      assert.deepEqual(await missedControls(page), [], 'Tab does not reach them')
      assert.deepEqual(await accessibilityFaults(page), [])
      assert.deepEqual(problems, [])
      await page.context().close()
    })

for (const size of sizes)
  test(`a record fits a window of ${size.width} pixels, and no control below it has the focus`, {
    skip: needsChromium,
  }, async () => {
    const url = `${served.url}#/explore?severity=ERROR&q=deadlock`
    const { page, problems } = await openWindow(browser, { url, size })
    await page.getByRole('row').nth(2).waitFor()
    await settled(page)
    await page.getByRole('grid').focus()
    await page.keyboard.press('Enter')
    const panel = page.getByRole('complementary', { name: 'Record' })
    await panel.getByRole('list', { name: /session around/ }).waitFor()
    await assertWithinWindow(page)
    assert.deepEqual(await accessibilityFaults(page), [])
    for (let stops = 0; ; stops += 1) {
      assert.ok(stops < maxStops, `more than ${maxStops} stops`)
      const stop = await nextStop(page)
      if (stop === undefined) break
      assert.deepEqual(stop, { ...stop, isInSight: true, isMarked: true, isWhole: true })
    }
    // Another control of the room is not covered when it has the focus.
    await page.getByRole('grid').focus()
    await page.keyboard.press('Enter')
    await panel.waitFor()
    await page.keyboard.press('/')
    await panel.waitFor({ state: 'detached' })
    assert.deepEqual(problems, [])
    await page.context().close()
  })

test('a control of which a part is shown does not move between the press and the release', {
  skip: needsChromium,
}, async () => {
  const { page, problems } = await openWindow(browser, { url: `${served.url}#/report`, size: sizes[0] })
  await page.locator('#overview .report-time').waitFor()
  const links = page.getByRole('navigation', { name: 'Sections' })
  const link = links.getByRole('button', { name: 'Locks and deadlocks' })
  const scrolled = (): Promise<number> => links.evaluate(({ scrollLeft }) => scrollLeft)
  const frame = (await links.boundingBox())!
  const cut = (await link.boundingBox())!
  // Its first 30 pixels are shown.
  const left = cut.x - frame.x - frame.width + 30
  await links.evaluate((element, by) => element.scrollBy(by, 0), left)
  const before = await scrolled()
  const { x, y, height } = (await link.boundingBox())!
  await page.mouse.move(x + 20, y + height / 2)
  await page.mouse.down()
  await page.evaluate('new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)))')
  assert.equal(await scrolled(), before)
  await page.mouse.up()
  await page.waitForURL(/section=locks/)
  assert.deepEqual(problems, [])
  await page.context().close()
})

const papers = [
  { name: 'a window of 320 pixels', width: 320, media: 'screen', colors: 'light' },
  { name: 'a dark window of 820 pixels', width: 820, media: 'screen', colors: 'dark' },
  // A4 across, without its margins.
  { name: 'paper', width: 1032, media: 'print', colors: 'dark' },
] as const

test('the report as one file fits windows and paper: nothing is cut off, and axe finds nothing', {
  skip: needsChromium,
}, async (t) => {
  const file = join(await temporaryDirectory(t), 'report.html')
  await writeFile(file, await (await fetch(`${served.url}api/report.html`)).text())
  for (const { name, width, media, colors } of papers)
    await t.test(name, async () => {
      const url = pathToFileURL(file).href
      const { page, problems } = await openWindow(browser, { url, colors, size: { width, height: 720 } })
      await page.emulateMedia({ media })
      await page.getByRole('heading', { name: 'Changes and restarts' }).waitFor()
      await assertWithinWindow(page)
      assert.deepEqual(await accessibilityFaults(page), [])
      assert.deepEqual(problems, [])
      await page.context().close()
    })
})
