import type { TestContext } from 'node:test'
import { type Clock, systemClock } from '../../src/clock.ts'
import type { CommandContext } from '../../src/commands/command.ts'
import { openPage, type PageSettings } from '../../src/commands/paging/open-page.ts'
import type { ResolvedConfig } from '../../src/config/resolved.ts'
import { silentLogger } from '../../src/reporting/logger.ts'

/** A page that is served on loopback, and requests to it. */
export interface ServedPage {
  readonly port: number
  readonly url: string
  /** @returns the JSON of an answer with status 200; the answer fails the test otherwise */
  json<Reply>(path: string): Promise<Reply>
  fetch(path: string, init?: RequestInit): Promise<Response>
}

/** Serves the page of a config in this process. */
export async function servePage(
  t: Pick<TestContext, 'after'>,
  config: ResolvedConfig,
  settings: Partial<PageSettings> = {},
  clock: Clock = systemClock,
): Promise<ServedPage> {
  const print = async (): Promise<boolean> => true
  const context: CommandContext = {
    config,
    logger: silentLogger,
    clock,
    errorOutput: { write: () => {}, status: () => {} },
    print,
    printRows: print,
    printRaw: print,
    terminal: { hasInput: false, hasOutput: false, hasColors: false, isAttached: false, isScript: false },
  }
  const page = await openPage(context, undefined, {
    port: 0,
    host: '127.0.0.1',
    hosts: [],
    memoryMiB: 512,
    ...settings,
  })
  t.after(() => page.close())
  const port = await page.server.listen(0, settings.host ?? '127.0.0.1')
  const url = `http://127.0.0.1:${port}`
  const request = (path: string, init?: RequestInit): Promise<Response> => fetch(`${url}${path}`, init)
  return {
    port,
    url,
    fetch: request,
    json: async <Reply>(path: string) => {
      const response = await request(path)
      const body = await response.text()
      if (response.status !== 200) throw new Error(`${path}: ${response.status} ${body}`)
      return JSON.parse(body) as Reply
    },
  }
}
