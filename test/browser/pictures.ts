import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { projectRoot } from '../support/tailrace-process.ts'

/** `TAILRACE_TEST_UPDATE=pictures` takes the pictures of the documentation anew: they differ with every run. */
const isWanted = process.env.TAILRACE_TEST_UPDATE === 'pictures'

/** Takes a picture of a window into docs/images/, where that is wanted. */
export async function keepPicture(page: Page, name: string): Promise<void> {
  if (!isWanted) return
  const directory = join(projectRoot, 'docs/images')
  await mkdir(directory, { recursive: true })
  await page.screenshot({ path: join(directory, `page-${name}.png`), animations: 'disabled', caret: 'hide' })
}
