import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RecordPage } from '../../src/page/api.ts'
import { eventually } from '../support/eventually.ts'
import { freePort } from '../support/free-port.ts'
import { jsonlogLine, linesAsBytes } from '../support/log-lines.ts'
import { startStorage } from '../support/storage.ts'
import { TailraceProcess } from '../support/tailrace-process.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { writeProject } from '../support/test-project.ts'
import { needsChromium, openBrowser, openWindow } from './chromium.ts'
import { servePage } from './served-page.ts'

test('a page with a token shows nothing without it, and everything with it', {
  skip: needsChromium,
}, async (t) => {
  const storage = await startStorage(t)
  await storage.append('one.ndjson', linesAsBytes([jsonlogLine(1, 'nobody reads this without the token')]))
  const { configPath } = await writeProject(await temporaryDirectory(t), {
    storage: { kind: 'connection-string', connectionString: storage.connectionString },
    pipelines: { guarded: { blobs: 'one.ndjson' } },
  })
  const token = 'a-token-of-this-test'
  const { url } = await servePage(t, ['start', '--config', configPath], {
    TAILRACE_PAGE_PORT: '0',
    TAILRACE_PAGE_TOKEN: token,
  })
  assert.ok(!url.includes(token), 'the link in the log holds the token')
  const browser = await openBrowser(t)
  const { page, problems } = await openWindow(browser, { url: `${url}#/explore` })
  const window = page.getByRole('dialog', { name: 'Sign in' })
  await window.waitFor()
  assert.doesNotMatch(await page.content(), /guarded|nobody reads/)
  await window.getByLabel('Token').fill('another-token-of-this-test')
  await page.keyboard.press('Enter')
  await window.getByRole('alert').waitFor()
  await page.keyboard.press('Escape')
  await window.getByLabel('Token').fill(token)
  await window.getByRole('button', { name: 'Sign in' }).click()
  await page.getByRole('row', { name: 'nobody reads this' }).waitFor()
  await page.getByRole('banner').getByText('Live').waitFor()
  // The browser keeps it, but no script can read it.
  assert.equal(await page.evaluate('document.cookie'), '')
  await page.reload()
  await page.getByRole('row', { name: 'nobody reads this' }).waitFor()
  assert.deepEqual(problems, [])
})

test('a page goes on by itself when the server is back', { skip: needsChromium }, async (t) => {
  const storage = await startStorage(t)
  await storage.append('one.ndjson', linesAsBytes([jsonlogLine(1, 'before the restart')]))
  const { configPath } = await writeProject(await temporaryDirectory(t), {
    storage: { kind: 'connection-string', connectionString: storage.connectionString },
    pipelines: { lasting: { blobs: 'one.ndjson' } },
  })
  const env = { TAILRACE_PAGE_PORT: String(await freePort()) }
  const first = await servePage(t, ['start', '--config', configPath], env)
  const { page, problems } = await openWindow(await openBrowser(t), { url: `${first.url}#/explore?live=1` })
  const state = page.getByRole('banner').getByRole('status')
  await state.getByText('Live').waitFor()
  await page.getByRole('row', { name: 'before the restart' }).waitFor()
  const report = await openWindow(page.context().browser()!, { url: `${first.url}#/report?last=1h` })
  await report.page.getByRole('button', { name: /^Time range/ }).click()
  const from = report.page.getByLabel('From')
  await from.fill('2026-11-24T09:10:11')

  first.process.kill('SIGKILL')
  await first.process.exited
  await state.getByText('No answer, trying again').waitFor()
  // What was there stays readable meanwhile.
  await page.getByRole('row', { name: 'before the restart' }).waitFor()
  await page.getByRole('button', { name: 'Refresh' }).click()
  await page.getByRole('alert').getByText('Tailrace does not answer.').first().waitFor()

  await storage.append('one.ndjson', linesAsBytes([jsonlogLine(2, 'while it was away')]))
  const landing = new TailraceProcess(['start', '--once', '--config', configPath])
  assert.equal((await landing.exited).code, 0, landing.stderr)

  const read = report.page.waitForResponse((reply) => reply.url().endsWith('/api/about') && reply.ok())
  const second = await servePage(t, ['start', '--config', configPath], env)
  assert.equal(second.url, first.url)
  await state.getByText('Live').waitFor()
  await page.getByRole('alert').first().waitFor({ state: 'detached' })
  await page.getByRole('row', { name: 'while it was away' }).waitFor()
  await storage.append('one.ndjson', linesAsBytes([jsonlogLine(3, 'after the restart')]))
  await page.getByRole('row', { name: 'after the restart' }).waitFor()
  // What is typed stays, too.
  await (await read).finished()
  await report.page.getByRole('banner').getByText('Live').waitFor()
  assert.equal(await from.inputValue(), '2026-11-24T09:10:11')
  assert.deepEqual([...problems, ...report.problems], [])
})

test('following misses no record that landed since the page was loaded, and its end keeps those that it brought', {
  skip: needsChromium,
}, async (t) => {
  const storage = await startStorage(t)
  await storage.append('one.ndjson', linesAsBytes([jsonlogLine(1, 'at the start')]))
  const { configPath } = await writeProject(await temporaryDirectory(t), {
    storage: { kind: 'connection-string', connectionString: storage.connectionString },
    pipelines: { followed: { blobs: 'one.ndjson' } },
  })
  const { url } = await servePage(t, ['start', '--config', configPath], { TAILRACE_PAGE_PORT: '0' })
  const { page, problems } = await openWindow(await openBrowser(t), { url: `${url}#/explore` })
  const rowOf = (message: string) => page.getByRole('row', { name: message })
  await rowOf('at the start').waitFor()
  await storage.append('one.ndjson', linesAsBytes([jsonlogLine(2, 'before following')]))
  await eventually(async () => {
    const found = await page.request.get(`${url}api/records?q=before%20following`)
    return ((await found.json()) as RecordPage).records.length === 1
  }, 'landed record')
  assert.equal(await rowOf('before following').count(), 0)

  const follow = page.getByRole('button', { name: 'Follow' })
  await follow.click()
  await rowOf('before following').waitFor()
  await page.getByText('0 new since following').waitFor()
  await storage.append('one.ndjson', linesAsBytes([jsonlogLine(3, 'while following')]))
  await rowOf('while following').waitFor()
  await page.getByText('1 new since following').waitFor()
  await follow.click()
  await page.getByText('new since following').waitFor({ state: 'detached' })
  await page.getByText('3 match').waitFor()
  for (const message of ['while following', 'before following', 'at the start'])
    await rowOf(message).waitFor()

  // Another query begins at the top, with its first record under the cursor.
  const lines = Array.from({ length: 150 }, (_, index) => jsonlogLine(10 + index, `one of many ${index}`))
  await storage.append('one.ndjson', linesAsBytes(lines))
  await follow.click()
  await rowOf('one of many 149').waitFor()
  const grid = page.getByRole('grid')
  await grid.press('End')
  await rowOf('at the start').waitFor()
  await page.getByRole('searchbox').fill('of many 7')
  await page.keyboard.press('Enter')
  await rowOf('one of many 7').first().waitFor()
  await page.getByText('11 match').waitFor()
  assert.equal(await grid.evaluate((element) => (element as { scrollTop: number }).scrollTop), 0)
  assert.equal(await grid.getAttribute('aria-activedescendant'), 'record-0')
  assert.deepEqual(problems, [])
})

test('a list that ends while the server is away asks for more once it is back, and not all the time', {
  skip: needsChromium,
}, async (t) => {
  const storage = await startStorage(t)
  const lines = Array.from({ length: 400 }, (_, index) => jsonlogLine(index, `record ${index}`))
  await storage.append('one.ndjson', linesAsBytes(lines))
  const { configPath } = await writeProject(await temporaryDirectory(t), {
    storage: { kind: 'connection-string', connectionString: storage.connectionString },
    pipelines: { long: { blobs: 'one.ndjson' } },
  })
  const env = { TAILRACE_PAGE_PORT: String(await freePort()) }
  const first = await servePage(t, ['start', '--config', configPath], env)
  const { page, problems } = await openWindow(await openBrowser(t), { url: `${first.url}#/explore` })
  await page.getByText('400 match').waitFor()
  await page.getByRole('row').nth(9).waitFor()
  first.process.kill('SIGKILL')
  await first.process.exited
  await page.getByRole('banner').getByText('No answer, trying again').waitFor()

  let asked = 0
  page.on('request', (request) => {
    if (request.url().includes('/api/records')) asked += 1
  })
  await page.getByRole('grid').press('End')
  await page.getByRole('alert').getByText('Tailrace does not answer.').waitFor()
  await page.waitForTimeout(1_000)
  assert.equal(asked, 1)

  await servePage(t, ['start', '--config', configPath], env)
  await page.getByRole('alert').waitFor({ state: 'detached' })
  await page.locator('#record-200').waitFor()
  await page.getByRole('grid').press('End')
  await page.getByRole('row', { name: /record 0$/ }).waitFor()
  assert.deepEqual(problems, [])
})

test('rooms that are open before the first record has landed show it by themselves, and ask once for each commit', {
  skip: needsChromium,
}, async (t) => {
  const storage = await startStorage(t)
  const { configPath } = await writeProject(await temporaryDirectory(t), {
    storage: { kind: 'connection-string', connectionString: storage.connectionString },
    pipelines: { first: { blobs: 'one.ndjson' } },
  })
  const { url } = await servePage(t, ['start', '--config', configPath], { TAILRACE_PAGE_PORT: '0' })
  const browser = await openBrowser(t)
  const explore = await openWindow(browser, { url: `${url}#/explore` })
  const report = await openWindow(browser, { url: `${url}#/report` })
  for (const { page } of [explore, report]) await page.getByText('No records have landed yet').waitFor()
  let asked = 0
  explore.page.on('request', (request) => {
    if (request.url().endsWith('/api/about')) asked += 1
  })
  // A row without a time is no record.
  await storage.append('one.ndjson', linesAsBytes(['no line of a log']))
  await explore.page.waitForRequest('**/api/about')
  await explore.page.waitForTimeout(3_000)
  assert.equal(asked, 1)
  await storage.append('one.ndjson', linesAsBytes([jsonlogLine(1, 'the very first')]))
  await explore.page.getByRole('row', { name: 'the very first' }).waitFor()
  await report.page.getByRole('heading', { name: 'Overview' }).waitFor()
  assert.deepEqual([...explore.problems, ...report.problems], [])
})
