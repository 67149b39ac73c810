import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { Browser } from 'playwright-core'
import { TailraceProcess } from '../support/tailrace-process.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { openBrowser, openWindow } from './chromium.ts'

/** A process that serves the page. */
export interface ServedPage {
  readonly process: TailraceProcess
  readonly url: string
}

/** Starts `tailrace` with arguments, as a user does, and waits for the link in its log. */
export async function servePage(
  t: Pick<TestContext, 'after'>,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<ServedPage> {
  const process = new TailraceProcess(args, {
    env,
    asShipped: true,
  })
  t.after(async () => {
    process.kill('SIGKILL')
    const { code, signal } = await process.exited
    // Whatever failed, its log says why.
    if (signal !== 'SIGKILL')
      throw new Error(`The server ended by itself (${code ?? signal}):\n${process.stderr.slice(-4_000)}`)
  })
  let url: unknown
  await process.until(() => {
    url = process.log.find(({ msg }) => msg?.startsWith('the page is at '))?.url
    return url !== undefined
  }, 'a link to the page')
  return { process, url: String(url) }
}

/** A process over the sample and a browser, for all tests of a file: it takes ten seconds to land the sample. */
export async function servePageOfSample(
  t: Pick<TestContext, 'after'>,
): Promise<{ readonly served: ServedPage; readonly browser: Browser }> {
  const directory = await temporaryDirectory(t)
  const served = await servePage(t, ['start'], {
    TAILRACE_LAKEHOUSE: join(directory, 'lakehouse'),
    TAILRACE_STATE: join(directory, 'state'),
    TAILRACE_PAGE_PORT: '0',
  })
  return { served, browser: await openBrowser(t) }
}

/** The same, once both pipelines have landed what there is and follow their blobs. */
export async function servePageOfFollowedSample(
  t: Pick<TestContext, 'after'>,
): ReturnType<typeof servePageOfSample> {
  const { served, browser } = await servePageOfSample(t)
  const { page } = await openWindow(browser, { url: served.url })
  for (const name of ['primary', 'replica']) {
    const card = page.getByRole('region', { name: `Pipeline ${name}` })
    await card.getByText('following', { exact: true }).waitFor()
  }
  await page.context().close()
  return { served, browser }
}
