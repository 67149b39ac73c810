import type { Page } from 'playwright-core'

/** Waits until a room shows the sample. */
export const rooms = {
  operate: async (page: Page): Promise<void> => {
    await page.getByRole('progressbar').nth(1).waitFor()
    await page.locator('.rate-stroke').nth(1).waitFor()
  },
  explore: (page: Page): Promise<void> => page.getByRole('row').nth(9).waitFor(),
  // The last section has its whole title once it is there, and `Changes` before.
  report: (page: Page): Promise<void> =>
    page.getByRole('heading', { name: 'Changes and restarts' }).waitFor(),
  ask: (page: Page): Promise<void> => page.getByText('lock_waits', { exact: true }).waitFor(),
} as const

/** Waits until nothing of a page is being fetched: lists of values come later than the records beside them. */
export function settled(page: Page): Promise<void> {
  return page.locator('[aria-busy=true], .waiting').first().waitFor({ state: 'detached' })
}
