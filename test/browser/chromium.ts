import { existsSync } from 'node:fs'
import type { TestContext } from 'node:test'
import { type Browser, chromium, type Page } from 'playwright-core'
import { skipUnless } from '../support/skip-unless.ts'

/** Where distributions put Chromium; `TAILRACE_CHROMIUM` names another place. */
const usualPaths = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']

const executablePath = process.env.TAILRACE_CHROMIUM ?? usualPaths.find((path) => existsSync(path))

/** Long enough for a machine that lands the sample and runs other tests meanwhile; what waits longer hangs. */
const maxWaitMs = 300_000

/** The `skip` of a test in a browser. */
export const needsChromium = skipUnless(
  executablePath === undefined && 'Chromium is not installed: apt-get install chromium, or TAILRACE_CHROMIUM',
)

/** A window of the browser, and what went wrong in it. */
export interface Window {
  readonly page: Page
  /** Errors of scripts, refusals by the Content-Security-Policy, and requests to other hosts than the page's. */
  readonly problems: readonly string[]
}

export interface WindowOptions {
  readonly url: string
  readonly colors?: 'light' | 'dark'
  /** In CSS pixels. Default 1440 by 900. */
  readonly size?: { readonly width: number; readonly height: number }
}

/** Chromium without a screen, closed with the test. */
export async function openBrowser(t: Pick<TestContext, 'after'>): Promise<Browser> {
  // As root, which CI is, Chromium has no sandbox of its own.
  const browser = await chromium.launch({
    executablePath: executablePath!,
    args: ['--disable-gpu', ...(process.getuid?.() === 0 ? ['--no-sandbox'] : [])],
  })
  t.after(() => browser.close())
  return browser
}

/** A window with a profile of its own, on an address. */
export async function openWindow(browser: Browser, options: WindowOptions): Promise<Window> {
  const { url, colors = 'light', size = { width: 1440, height: 900 } } = options
  const context = await browser.newContext({
    colorScheme: colors,
    viewport: size,
    reducedMotion: 'reduce',
    acceptDownloads: true,
    permissions: ['clipboard-read', 'clipboard-write'],
  })
  const page = await context.newPage()
  page.setDefaultTimeout(maxWaitMs)
  const problems: string[] = []
  page.on('pageerror', (error) => problems.push(String(error)))
  page.on('dialog', (dialog) => {
    problems.push(`a dialog: ${dialog.message()}`)
    void dialog.dismiss()
  })
  page.on('console', (message) => {
    const text = message.text()
    // A request that was answered with a failure is no error of the page: it shows the failure.
    if (message.type() === 'error' && !/^Failed to load resource|ERR_CONNECTION_REFUSED/.test(text))
      problems.push(text)
  })
  const { origin } = new URL(url)
  page.on('request', (request) => {
    const asked = new URL(request.url())
    if (asked.origin !== origin && !['data:', 'blob:'].includes(asked.protocol)) problems.push(request.url())
  })
  await page.goto(url)
  return { page, problems }
}
