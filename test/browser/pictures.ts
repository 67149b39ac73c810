import assert from 'node:assert/strict'
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

/** Texts in sight with other letters than those of Inter and JetBrains Mono, such as Chinese ones and emoji. */
const unreadable = `(() => {
  const found = []
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  while (walker.nextNode()) {
    const { currentNode: node } = walker
    if (!/[^\\u0000-\\u04ff\\u1e00-\\u1fff\\u2000-\\u22ff\\u2500-\\u25ff]/u.test(node.data)) continue
    const range = document.createRange()
    range.selectNodeContents(node)
    const { top, bottom, width } = range.getBoundingClientRect()
    if (width > 0 && bottom > 0 && top < innerHeight) found.push(node.data.slice(0, 100))
  }
  return found
})()`

/** Takes a picture of a window into docs/images/, where that is wanted and the pages show it. */
export async function keepPicture(page: Page, name: string): Promise<void> {
  if (!isWanted || !shown.includes(name)) return
  assert.deepEqual(await page.evaluate(unreadable), [], 'texts in sight that the fonts of CI show as boxes')
  const directory = join(projectRoot, 'docs/images')
  await mkdir(directory, { recursive: true })
  await page.screenshot({ path: join(directory, `page-${name}.png`), animations: 'disabled', caret: 'hide' })
}
