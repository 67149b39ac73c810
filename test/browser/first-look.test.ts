import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import type { Browser, Page } from 'playwright-core'
import { sharedHooks } from '../support/shared-hooks.ts'
import { accessibilityFaults } from './accessibility.ts'
import { needsChromium, openWindow, type WindowOptions } from './chromium.ts'
import { keepPicture } from './pictures.ts'
import { rooms, settled } from './rooms.ts'
import { type ServedPage, servePageOfSample } from './served-page.ts'

const hooks = sharedHooks()
let served: ServedPage
let browser: Browser

before(async () => {
  if (needsChromium !== false) return
  ;({ served, browser } = await servePageOfSample(hooks))
})

const views = {
  operate: {
    hash: '#/operate',
    ready: rooms.operate,
  },
  explore: {
    hash: '#/explore',
    ready: rooms.explore,
  },
  record: {
    hash: '#/explore?severity=ERROR&q=deadlock',
    ready: async (page: Page) => {
      await page.getByRole('row').first().click()
      await page.getByRole('list', { name: /session around/ }).waitFor()
    },
  },
  report: {
    // The sample goes on behind it, so that it is computed once for all looks.
    hash: `#/report?fromMs=${Date.parse('2026-11-24T08:29Z')}&toMs=${Date.parse('2026-11-24T08:30:30Z')}`,
    ready: rooms.report,
  },
  ask: {
    hash: '#/ask?view=chart',
    ready: async (page: Page) => {
      await page.getByRole('button', { name: 'Examples' }).click()
      await page.getByRole('button', { name: 'Errors by second' }).first().click()
      await page.getByRole('button', { name: 'Run' }).click()
      await page.getByRole('img', { name: /over time/ }).waitFor()
    },
  },
} as const

/** Further states of the rooms. */
const states = {
  comparison: {
    hash: '#/report?compare=previous',
    ready: rooms.report,
  },
  nothing: {
    hash: '#/explore?q=no record has this',
    ready: (page: Page) => page.getByText('No record matches').waitFor(),
  },
  menu: {
    hash: '#/explore',
    ready: async (page: Page) => {
      await page.getByRole('row').nth(3).waitFor()
      await page.getByRole('button', { name: /All records/ }).click()
      await page.locator('.sheet').waitFor()
    },
  },
  keys: {
    hash: '#/operate',
    ready: async (page: Page) => {
      await page.getByRole('progressbar').nth(1).waitFor()
      await page.keyboard.press('?')
      await page.getByRole('dialog', { name: 'Keyboard' }).waitFor()
    },
  },
  failure: {
    hash: '#/ask?sql=select nothing_of_this from logs',
    ready: async (page: Page) => {
      await page.getByRole('button', { name: 'Run' }).click()
      await page.getByRole('alert').waitFor()
    },
  },
} as const

const looks: readonly (Omit<WindowOptions, 'url'> & { readonly name: string })[] = [
  { name: 'light', colors: 'light' },
  { name: 'dark', colors: 'dark' },
  { name: 'narrow', colors: 'light', size: { width: 390, height: 844 } },
]

test('the page shows the sample as it lands, with the place of every blob', {
  skip: needsChromium,
}, async () => {
  const { page, problems } = await openWindow(browser, { url: served.url })
  assert.equal(await page.title(), 'Operate · Tailrace')
  for (const name of ['primary', 'replica']) {
    const card = page.getByRole('region', { name: `Pipeline ${name}` })
    await card.getByText('following', { exact: true }).waitFor()
    await card.getByText(new RegExp(`${name}_postgresql_logs_uat$`)).waitFor()
    await page.getByRole('progressbar', { name: new RegExp(`${name}\\.ndjson$`) }).waitFor()
  }
  await page.getByRole('img', { name: /primary: [1-9]\d* commits, [1-9]/ }).waitFor()
  assert.deepEqual(problems, [])
})

const narrowAndDark = { name: 'narrow, dark', colors: 'dark', size: { width: 390, height: 844 } } as const

for (const look of [...looks, narrowAndDark])
  for (const [name, { hash, ready }] of Object.entries(
    look === narrowAndDark ? { ...views, ...states } : views,
  ))
    test(`${name} is accessible, ${look.name}`, { skip: needsChromium }, async () => {
      const { page, problems } = await openWindow(browser, { ...look, url: `${served.url}${hash}` })
      await ready(page)
      await settled(page)
      await keepPicture(page, `${name}-${look.name}`)
      assert.deepEqual(await accessibilityFaults(page), [])
      const isWider = 'document.documentElement.scrollWidth > document.documentElement.clientWidth'
      assert.equal(await page.evaluate(isWider), false, 'the page is wider than its window')
      assert.deepEqual(problems, [])
      await page.context().close()
    })
