import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readdir, readFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { getPriority } from 'node:os'
import { type TestContext, test } from 'node:test'
import { prioritySteps } from '../../src/commands/paging/low-priority.ts'
import type { About, RecordPage } from '../../src/page/api.ts'
import { maxConnections } from '../../src/page/page-address.ts'
import { eventually } from '../support/eventually.ts'
import { freePort } from '../support/free-port.ts'
import { jsonlogLine, linesAsBytes } from '../support/log-lines.ts'
import { startStorage, type TestStorage } from '../support/storage.ts'
import { TailraceProcess } from '../support/tailrace-process.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { writeProject } from '../support/test-project.ts'

const isLinux = process.platform === 'linux'

async function startTailrace(
  t: TestContext,
  env: Readonly<Record<string, string>>,
): Promise<{ readonly tailrace: TailraceProcess; readonly storage: TestStorage }> {
  const storage = await startStorage(t)
  await storage.append('one.ndjson', linesAsBytes([jsonlogLine(1, 'a first line')]))
  const { configPath } = await writeProject(await temporaryDirectory(t), {
    storage: { kind: 'connection-string', connectionString: storage.connectionString },
    pipelines: { one: { blobs: 'one.ndjson', pollMs: 100 } },
    batch: { maxAgeMs: 100 },
  })
  const tailrace = new TailraceProcess(['start', '--config', configPath], {
    env,
    asShipped: true,
  })
  t.after(async () => {
    tailrace.kill('SIGKILL')
    await tailrace.exited
  })
  return { tailrace, storage }
}

test('when its port is in use the page takes the next free one, and a page process that is killed is replaced', {
  timeout: 60_000,
  skip: isLinux ? false : 'finds the process of the page in /proc',
}, async (t) => {
  const port = await freePort()
  const other = createServer().listen(port, '127.0.0.1')
  await once(other, 'listening')
  t.after(() => other.close())
  const { tailrace, storage } = await startTailrace(t, { TAILRACE_PAGE_PORT: String(port) })
  await tailrace.until(() => tailrace.logged(`port ${port} is in use: the page is at `), 'a link to the page')
  const line = tailrace.log.find(({ msg }) => msg?.includes('the page is at'))
  const used = Number(new URL(String(line?.url)).port)
  assert.ok(used > port && used <= port + 9, `port ${used}`)
  const json = async <Reply>(path: string): Promise<Reply> =>
    (await fetch(`http://127.0.0.1:${used}/api/${path}`)).json() as Promise<Reply>
  assert.equal((await json<About>('about')).needsToken, false)

  const [pageProcess] = await pagesOf(tailrace.pid!)
  process.kill(pageProcess!, 'SIGKILL')
  await tailrace.until(() => tailrace.logged("the page's process ended"), 'the end of the page process')
  await storage.append('one.ndjson', linesAsBytes([jsonlogLine(2, 'landed behind the end')]))
  await eventually(
    async () => (await json<RecordPage>('records?q=behind')).records.length === 1,
    'the new line on the page',
  )
  assert.notEqual((await pagesOf(tailrace.pid!))[0], pageProcess)
  // Nothing of the page outlives the run, whatever ends it.
  const [last] = await pagesOf(tailrace.pid!)
  tailrace.kill('SIGKILL')
  await tailrace.exited
  await eventually(async () => !isRunning(last!), 'the end of the page process')
})

test('every thread of the page, of its engines too, has a lower priority than the run', {
  timeout: 60_000,
  skip: isLinux ? false : 'finds the threads of the page in /proc',
}, async (t) => {
  const port = await freePort()
  const { tailrace } = await startTailrace(t, { TAILRACE_PAGE_PORT: String(port) })
  await tailrace.until(() => tailrace.log.some(({ rows }) => rows === 1), 'the landed line')
  const reply = await fetch(`http://127.0.0.1:${port}/api/records`)
  assert.equal(((await reply.json()) as RecordPage).records.length, 1)
  const [pageProcess] = await pagesOf(tailrace.pid!)
  const threads = (await readdir(`/proc/${pageProcess}/task`)).map(Number)
  const names = await Promise.all(
    threads.map((id) => readFile(`/proc/${pageProcess}/task/${id}/comm`, 'utf8')),
  )
  const priority = Math.min(19, getPriority(tailrace.pid) + prioritySteps)
  assert.deepEqual(
    threads.map((id) => getPriority(id)),
    threads.map(() => priority),
    names.join(),
  )
  assert.ok(threads.length > 8, names.join())
})

test('behind the door, too, connections are limited, and a client that sends no whole request is cut off', {
  timeout: 60_000,
}, async (t) => {
  const port = await freePort()
  const { tailrace } = await startTailrace(t, { TAILRACE_PAGE_PORT: String(port) })
  await tailrace.until(() => tailrace.logged('the page is at'), 'a link to the page')
  assert.equal((await fetch(`http://127.0.0.1:${port}/api/about`)).status, 200)
  const surplus = 20
  let closed = 0
  const clients = Array.from({ length: maxConnections + surplus }, () => {
    const socket = connect(port, '127.0.0.1')
    t.after(() => socket.destroy())
    socket.on('error', () => {})
    socket.once('close', () => {
      closed += 1
    })
    return socket.resume()
  })
  await eventually(async () => closed >= surplus, 'the end of the surplus connections')
  // The connection of the request above may be open.
  assert.ok(closed <= surplus + 1, `${closed} closed`)
  for (const socket of clients)
    if (!socket.destroyed) socket.write('GET /api/about HTTP/1.1\r\nHost: localhost\r\nX-Slow: ')
  await eventually(async () => closed === clients.length, 'the end of half-sent requests')
  assert.equal((await fetch(`http://127.0.0.1:${port}/api/about`)).status, 200)
})

test('without a token no page is served to other machines, and the run goes on', {
  timeout: 60_000,
}, async (t) => {
  const port = await freePort()
  const { tailrace } = await startTailrace(t, {
    TAILRACE_PAGE_PORT: String(port),
    TAILRACE_PAGE_HOST: '0.0.0.0',
    LOG_LEVEL: 'debug',
  })
  await tailrace.until(() => tailrace.logged('the page is not served'), 'a warning')
  await tailrace.until(() => tailrace.log.some(({ rows }) => rows === 1), 'the landed line')
  await assert.rejects(fetch(`http://127.0.0.1:${port}/`))
  assert.match(tailrace.stderr, /TAILRACE_PAGE_TOKEN|page\.token/)
})

/** @returns the numbers of the processes that serve the page of a run */
async function pagesOf(pid: number): Promise<number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')
  const children = text.trim().split(' ').filter(Boolean)
  const commands = await Promise.all(
    children.map((child) => readFile(`/proc/${child}/cmdline`, 'utf8').catch(() => '')),
  )
  return children.filter((_, index) => commands[index]!.includes('page-process')).map(Number)
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
