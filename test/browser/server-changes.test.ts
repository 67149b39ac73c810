import assert from 'node:assert/strict'
import { test } from 'node:test'
import { freePort } from '../support/free-port.ts'
import { jsonlogLine, linesAsBytes } from '../support/log-lines.ts'
import { startStorage } from '../support/storage.ts'
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

  first.process.kill('SIGKILL')
  await first.process.exited
  await state.getByText('No answer, trying again').waitFor()
  // What was there stays readable meanwhile.
  await page.getByRole('row', { name: 'before the restart' }).waitFor()
  await page.getByRole('button', { name: 'Refresh' }).click()
  await page.getByRole('alert').getByText('Tailrace does not answer.').first().waitFor()

  const second = await servePage(t, ['start', '--config', configPath], env)
  assert.equal(second.url, first.url)
  await state.getByText('Live').waitFor()
  await storage.append('one.ndjson', linesAsBytes([jsonlogLine(2, 'after the restart')]))
  await page.getByRole('row', { name: 'after the restart' }).waitFor()
  assert.deepEqual(problems, [])
})
