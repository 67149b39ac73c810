import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { projectRoot } from '../support/tailrace-process.ts'

/** Those that docs/page.md and the README show. */
const shown: readonly string[] = [
  'operate-light',
  'explore-light',
  'explore-narrow',
  'record-dark',
  'report-light',
  'ask-dark',
]

/** `TAILRACE_TEST_UPDATE=pictures` takes the pictures of the documentation anew: they differ with every run. */
const isWanted = process.env.TAILRACE_TEST_UPDATE === 'pictures'

/** Takes a picture of a window into docs/images/, where that is wanted and the pages show it. */
export async function keepPicture(page: Page, name: string): Promise<void> {
  if (!isWanted || !shown.includes(name)) return
  const directory = join(projectRoot, 'docs/images')
  await mkdir(directory, { recursive: true })
  await page.screenshot({ path: join(directory, `page-${name}.png`), animations: 'disabled', caret: 'hide' })
}
