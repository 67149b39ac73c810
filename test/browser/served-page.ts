import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { projectRoot, TailraceProcess } from '../support/tailrace-process.ts'

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
    script: join(projectRoot, 'bin/tailrace.js'),
    asShipped: true,
  })
  t.after(async () => {
    process.kill('SIGKILL')
    await process.exited
  })
  let url: unknown
  await process.until(() => {
    url = process.log.find(({ msg }) => msg?.startsWith('the page is at '))?.url
    return url !== undefined
  }, 'a link to the page')
  return { process, url: String(url) }
}
