import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { AxeResults } from 'axe-core'
import type { Page } from 'playwright-core'

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

/**
 * Examines a page as it is now.
 *
 * @returns what axe finds wrong, each with the elements at fault
 */
export async function accessibilityFaults(page: Page): Promise<readonly string[]> {
  // The page's Content-Security-Policy allows no script of others: this one comes through the debugger.
  await page.evaluate(axe)
  const { violations } = (await page.evaluate('axe.run()')) as AxeResults
  return violations.map(
    ({ id, help, nodes }) => `${id}: ${help}: ${nodes.map(({ html }) => html.slice(0, 200)).join(' | ')}`,
  )
}
