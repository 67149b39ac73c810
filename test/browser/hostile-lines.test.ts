import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Page } from 'playwright-core'
import { jsonlogLine } from '../support/log-lines.ts'
import { startStorage } from '../support/storage.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { writeProject } from '../support/test-project.ts'
import { needsChromium, openBrowser, openWindow } from './chromium.ts'
import { servePage } from './served-page.ts'

const markup = `<script>document.title='stolen'</script><img src=x onerror="document.title='stolen'">`
const ansi = '\u001b[31mred\u001b[0m \u001b]0;stolen\u0007'
const reordered = 'access \u202edeined\u202c \u2066granted\u2069 in\u200bvisible'

/** What nobody may see as it is: it would change other text, or hide. */
const deceptive = '[\\u0000-\\u0008\\u000b-\\u001f\\u007f-\\u009f\\u200b\\u202a-\\u202e\\u2066-\\u2069]'

const lines = [markup, ansi, reordered, `see https://127.0.0.2/spy.png and javascript:alert(1)`].map(
  (text, index) => {
    const line = JSON.parse(jsonlogLine(index)) as Record<string, unknown>
    return JSON.stringify({
      ...line,
      error_severity: 'ERROR',
      state_code: '42601',
      message: `hostile ${index}: ${text}`,
      detail: text,
      hint: text,
      statement: `select '${text}'`,
      user: text,
      dbname: text,
      application_name: text,
    })
  },
)

/** Asserts that everything of the lines stayed text. */
async function assertOnlyText(page: Page, place: string): Promise<void> {
  const found = (await page.evaluate(`({
    title: document.title,
    elements: document.querySelectorAll('main script, main img, main iframe, main object, main [onerror], main [onload]').length,
    links: [...document.querySelectorAll('a')].filter(({ protocol, host }) => protocol === 'javascript:' || host !== location.host).length,
    deceptive: document.body.innerText.match(/${deceptive}/g) ?? [],
  })`)) as Record<string, unknown>
  assert.match(String(found.title), / · Tailrace$/, place)
  assert.deepEqual({ ...found, title: '' }, { title: '', elements: 0, links: 0, deceptive: [] }, place)
}

test('whatever a log line holds is shown as text: markup, terminal sequences, directions of writing', {
  skip: needsChromium,
}, async (t) => {
  const storage = await startStorage(t)
  const directory = await temporaryDirectory(t)
  await storage.append('hostile.ndjson', `${lines.join('\n')}\n${markup} ${ansi} ${reordered} is no JSON\n`)
  const { configPath } = await writeProject(directory, {
    storage: { kind: 'connection-string', connectionString: storage.connectionString },
    pipelines: { hostile: { blobs: 'hostile.ndjson' } },
  })
  const { url } = await servePage(t, ['start', '--config', configPath], { TAILRACE_PAGE_PORT: '0' })
  const { page, problems } = await openWindow(await openBrowser(t), { url })

  await page.getByText('rejected', { exact: true }).click()
  await page.getByText(`is no JSON`).waitFor()
  await assertOnlyText(page, 'rejected rows')

  await page.getByRole('link', { name: 'Explore' }).click()
  await page.getByRole('row').nth(3).waitFor()
  await page.getByText("<script>document.title='stolen'</script>").first().waitFor()
  await page
    .getByRole('checkbox', { name: /onerror/ })
    .first()
    .waitFor()
  await assertOnlyText(page, 'records')
  for (const index of lines.keys()) {
    await page.getByRole('row', { name: `hostile ${index}` }).click()
    const panel = page.getByRole('complementary', { name: 'Record' })
    await panel.getByText('All columns').click()
    await panel.getByText(`hostile ${index}`).first().waitFor()
    await assertOnlyText(page, `record ${index}`)
  }
  // A value with such characters still filters by what it is, not by what is shown.
  await page.goto(`${url}#/explore?${new URLSearchParams({ user: reordered })}`)
  await page.getByText(/^1 match/).waitFor()
  await page.getByRole('row', { name: 'hostile 2' }).waitFor()

  await page.getByRole('link', { name: 'Report' }).click()
  await page.getByRole('navigation', { name: 'Sections' }).getByRole('button', { name: 'Errors' }).click()
  await page
    .getByRole('region', { name: 'Errors', exact: true })
    .getByText(/hostile/)
    .first()
    .waitFor()
  await assertOnlyText(page, 'report')

  await page.getByRole('link', { name: 'Ask' }).click()
  await page.getByRole('textbox', { name: 'SQL' }).click()
  await page.keyboard.insertText('select message, user_name, length(message) as characters from logs')
  await page.getByRole('button', { name: 'Run' }).click()
  await page
    .getByRole('cell', { name: /onerror/ })
    .first()
    .waitFor()
  await assertOnlyText(page, 'result')
  await page.getByRole('button', { name: 'Row 2 whole' }).click()
  await page.getByRole('dialog').getByText('user_name').waitFor()
  await assertOnlyText(page, 'row')
  await page.getByRole('button', { name: 'Close' }).click()
  await page.getByRole('button', { name: 'Chart' }).click()
  await page
    .getByText(/hostile 0/)
    .first()
    .waitFor()
  await assertOnlyText(page, 'chart')
  assert.deepEqual(problems, [])
})
