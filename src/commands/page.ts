import { pageSchema } from '../config/schema.ts'
import { pageUrl } from '../page/page-address.ts'
import { exitCodeOf } from '../run/process-end.ts'
import type { CommandContext } from './command.ts'
import { openPage } from './paging/open-page.ts'

export interface PageOptions {
  readonly pipeline?: string | undefined
  /** Default: that of the config. */
  readonly port?: number | undefined
  /** Default: that of the config. */
  readonly host?: string | undefined
}

/**
 * Serves the page over the tables of the config, until SIGINT or SIGTERM. It shows the pipelines of a process of the same
 * state directory, too.
 *
 * @returns the exit code: that of the signal
 * @throws PAGE_UNAVAILABLE
 */
export async function page(context: CommandContext, { pipeline, port, host }: PageOptions): Promise<number> {
  const { config, logger } = context
  const given = config.page === false ? pageSchema.parse({}) : config.page
  const settings = { ...given, port: port ?? given.port, host: host ?? given.host }
  const { server, close } = await openPage(context, pipeline, settings)
  try {
    const ended = new Promise<'SIGINT' | 'SIGTERM'>((resolve) => {
      for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve(signal))
    })
    const used = await server.listen(settings.port, settings.host)
    const url = pageUrl(settings.host, used)
    logger.info({ url }, `the page is at ${url}`)
    return exitCodeOf(await ended)
  } finally {
    await close()
  }
}
