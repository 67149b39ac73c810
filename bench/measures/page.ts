import { readFileSync } from 'node:fs'
import { mkdir, readdir, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Histogram, RecordPage } from '../../src/page/api.ts'
import { nodeCommand, startMeasured } from '../measured-process.ts'
import { pieceName } from '../servers/served-blobs.ts'
import { whileServing } from '../servers/while-serving.ts'
import { tailraceCommand } from '../tailrace-command.ts'
import type { LinesFile } from './lines.ts'
import { frequentText, makePageTable, type PageTable, rareText } from './page-table.ts'
import { orderInRound } from './rounds.ts'

/** What is asked of the page, in this order, each once per round. */
export const pageQuestions = {
  first: 'first histogram of the first process, in part by statistics',
  exact: 'the same until every record is counted',
  again: 'the same histogram again',
  errors: 'histogram of the errors alone',
  day: 'histogram of one day',
  facets: 'values of the fields',
  newest: 'newest 200 records',
  frequent: 'search of a text that one record in twenty has',
  'frequent-histogram': 'histogram of that text: first reply',
  rare: 'search of a text in the oldest records: first reply',
  'rare-whole': 'the same search until it has found them',
  report: 'report of the last hour',
} as const

export type PageQuestion = keyof typeof pageQuestions

export interface PageResult extends Pick<PageTable, 'rows' | 'days'> {
  readonly files: number
  readonly tableBytes: number
  /** One per round. */
  readonly answers: Readonly<Record<PageQuestion, readonly Spent[]>>
  /** Of the process that answered, one per round. */
  readonly peakRssBytes: readonly number[]
  readonly landing: {
    readonly inputBytes: number
    readonly lines: number
    /** Seconds from the start of a process to its last commit, one per round. */
    readonly aloneSeconds: readonly number[]
    readonly besideSeconds: readonly number[]
    /** Questions that the page answered meanwhile. */
    readonly answers: readonly number[]
  }
}

/** What an answer took. */
export interface Spent {
  readonly tookMs: number
  /** Of the process that answered; 0 where there is no `/proc`. */
  readonly cpuMs: number
}

interface PageSizes {
  readonly rows: number
  readonly days: number
}

/** Of the process that answers: `page.memoryMiB`, which bounds its queries, and what the program itself takes. */
export const maxPeakRssBytes = (512 + 128) * 2 ** 20

const startDeadlineMs = 60_000
const landingDeadlineMs = 600_000

/**
 * Asks the page of `tailrace page` over a large table, and lands logs with and without somebody who asks the page of that
 * run without a pause.
 *
 * @throws Error when an answer has another number of records than the table, and when the process takes more memory than it may
 */
export async function measurePage(
  sizes: PageSizes,
  lines: LinesFile,
  { rounds, work, scratch }: { readonly rounds: number; readonly work: string; readonly scratch: string },
  say: (text: string) => void,
): Promise<PageResult> {
  const table = await makePageTable(sizes, work, say)
  const answers = Object.fromEntries(
    Object.keys(pageQuestions).map((question) => [question, [] as Spent[]]),
  ) as Record<PageQuestion, Spent[]>
  const peakRssBytes: number[] = []
  // One more round, the first, does not count: it reads the files into the page cache.
  for (let round = 0; round <= rounds; round += 1) {
    const asked = await askOnce(table, round > 0, scratch)
    say(
      `page: round ${round} of ${rounds}: ${texts(asked.answers)}, ${(asked.peakRssBytes / 1e6).toFixed(0)} MB`,
    )
    if (asked.peakRssBytes > maxPeakRssBytes)
      throw new Error(`The page took ${asked.peakRssBytes} bytes of memory, more than ${maxPeakRssBytes}.`)
    if (round === 0) continue
    peakRssBytes.push(asked.peakRssBytes)
    for (const question of Object.keys(pageQuestions) as PageQuestion[])
      answers[question].push(asked.answers[question])
  }
  const landing = { aloneSeconds: [] as number[], besideSeconds: [] as number[], answers: [] as number[] }
  for (let round = 0; round < rounds; round += 1) {
    for (const isAsked of orderInRound([false, true], round)) {
      const { seconds, answers: count } = await landOnce(table, lines, isAsked, scratch)
      say(`page: landing ${isAsked ? `beside ${count} answers` : 'alone'}: ${seconds.toFixed(1)} s`)
      landing[isAsked ? 'besideSeconds' : 'aloneSeconds'].push(seconds)
      if (isAsked) landing.answers.push(count)
    }
  }
  const adds = await addedFiles(join(table.root, ...table.name.split('.')))
  return {
    rows: table.rows,
    days: table.days,
    files: adds.length,
    tableBytes: adds.reduce((sum, { size }) => sum + size, 0),
    answers,
    peakRssBytes,
    landing: { inputBytes: lines.bytes, lines: lines.lines, ...landing },
  }
}

/** @param isCounted otherwise the long search is ended after its first reply */
async function askOnce(
  table: PageTable,
  isCounted: boolean,
  scratch: string,
): Promise<{ readonly answers: Record<PageQuestion, Spent>; readonly peakRssBytes: number }> {
  const port = await freePort()
  const state = join(scratch, 'page-state')
  const command = tailraceCommand(
    ['page', '--config', 'bench/measures/page.config.ts', '--port', String(port)],
    {
      AZURE_STORAGE_CONNECTION_STRING: 'UseDevelopmentStorage=true',
      TAILRACE_BENCH_PAGE_ROOT: table.root,
      TAILRACE_STATE: state,
      TAILRACE_PRIMARY: undefined,
    },
  )
  const { child, ended } = startMeasured(command, scratch, [143])
  try {
    const page = new PageClient(port, child.pid)
    await Promise.race([page.isListening(), ended])
    const answers = await ask(page, table, isCounted)
    child.kill('SIGTERM')
    const { peakRssBytes } = await ended
    return { answers, peakRssBytes }
  } finally {
    child.kill('SIGTERM')
    await ended.catch(() => {})
    await rm(state, { recursive: true, force: true })
  }
}

async function ask(
  page: PageClient,
  { rows, fromMs, toMs }: PageTable,
  isWhole: boolean,
): Promise<Record<PageQuestion, Spent>> {
  const histogram = (query = '') => page.json<Histogram>(`histogram?${query}`)
  const first = await histogram()
  let exact: Spent = first
  let { total, next } = first.reply
  while (next !== undefined) {
    const { reply, ...spent } = await histogram(`before=${next}`)
    exact = sumOf(exact, spent)
    total += reply.total
    next = reply.next
  }
  if (total !== rows) throw new Error(`The histogram has ${total} of ${rows} records.`)
  const again = await histogram()
  const errors = await histogram('severity=ERROR&severity=FATAL&severity=PANIC')
  const dayMs = 86_400_000
  const dayFromMs = fromMs + Math.floor((toMs - fromMs) / dayMs / 2) * dayMs
  const day = await histogram(`fromMs=${dayFromMs}&toMs=${dayFromMs + dayMs}`)
  const facets = await page.json('facets')
  const newest = await page.json<RecordPage>('records?limit=200')
  const frequent = await page.json<RecordPage>(`records?limit=200&q=${frequentText}`)
  const frequentHistogram = await histogram(`q=${frequentText}`)
  if (newest.reply.records.length !== 200 || frequent.reply.records.length !== 200)
    throw new Error('A page of records is not full.')
  const rare = await searchOldest(page, isWhole)
  const report = await page.json(`report?fromMs=${toMs - 3_600_000}&toMs=${toMs}`)
  const all = { first, exact, again, errors, day, facets, newest, frequent, report, ...rare }
  return spentOnly({ ...all, 'frequent-histogram': frequentHistogram })
}

/** Leaves the replies out. */
function spentOnly(answers: Readonly<Record<PageQuestion, Spent>>): Record<PageQuestion, Spent> {
  return Object.fromEntries(
    Object.entries(answers).map(([question, { tookMs, cpuMs }]) => [question, { tookMs, cpuMs }]),
  ) as Record<PageQuestion, Spent>
}

function sumOf(a: Spent, b: Spent): Spent {
  return { tookMs: a.tookMs + b.tookMs, cpuMs: a.cpuMs + b.cpuMs }
}

async function searchOldest(
  page: PageClient,
  isWhole: boolean,
): Promise<{ readonly rare: Spent; readonly 'rare-whole': Spent }> {
  let rare: Spent | undefined
  let whole: Spent = { tookMs: 0, cpuMs: 0 }
  let found = 0
  let before: string | undefined
  do {
    const query = new URLSearchParams({
      limit: '200',
      q: rareText,
      ...(before === undefined ? {} : { before }),
    })
    const { reply, ...spent } = await page.json<RecordPage>(`records?${query}`)
    rare ??= spent
    whole = sumOf(whole, spent)
    found += reply.records.length
    before = reply.next
  } while (before !== undefined && isWhole)
  if (isWhole && found !== 4) throw new Error(`The search of the rare text found ${found} of 4 records.`)
  return { rare: rare ?? whole, 'rare-whole': whole }
}

/** Lands the lines by `tailrace start`, and asks its page meanwhile if that is wanted. */
async function landOnce(
  table: PageTable,
  lines: LinesFile,
  isAsked: boolean,
  scratch: string,
): Promise<{ readonly seconds: number; readonly answers: number }> {
  const directory = join(scratch, 'page-landing')
  await rm(directory, { recursive: true, force: true })
  await mkdir(directory, { recursive: true })
  const port = await freePort()
  const server = nodeCommand('bench/servers/account-server.ts', [lines.path, 'pieces', '1'])
  try {
    const { result } = await whileServing(server, scratch, async (connectionString) => {
      const startedAt = performance.now()
      const { child, ended } = startMeasured(
        tailraceCommand(['start', '--config', 'bench/measures/page.config.ts'], {
          AZURE_STORAGE_CONNECTION_STRING: connectionString,
          TAILRACE_BENCH_PAGE_ROOT: table.root,
          TAILRACE_PRIMARY: pieceName(0),
          TAILRACE_LAKEHOUSE: join(directory, 'lakehouse'),
          TAILRACE_STATE: join(directory, 'state'),
          TAILRACE_PAGE_PORT: String(port),
        }),
        scratch,
        [143],
      )
      try {
        const done = new AbortController()
        const asking = isAsked ? askUntil(new PageClient(port), table, done.signal) : Promise.resolve(0)
        const landed = await Promise.race([
          untilLanded(join(directory, 'lakehouse/bench/public/landing'), lines.lines),
          ended.then(() => Promise.reject(new Error('Tailrace ended before all had landed.'))),
        ])
        const seconds = (landed - startedAt) / 1_000
        done.abort()
        return { seconds, answers: await asking }
      } finally {
        child.kill('SIGTERM')
        await ended.catch(() => {})
      }
    })
    return result
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

/** The questions of a person who looks around, without a pause. @returns how many were answered */
async function askUntil(page: PageClient, { fromMs, toMs }: PageTable, signal: AbortSignal): Promise<number> {
  await page.isListening()
  let answers = 0
  const spanMs = toMs - fromMs
  while (!signal.aborted) {
    const from = Math.round(fromMs + (spanMs * (answers % 7)) / 14)
    for (const path of [
      'operate',
      `histogram?fromMs=${from}&toMs=${toMs}`,
      `facets?fromMs=${from}&toMs=${toMs}`,
      `records?limit=200&q=${frequentText}&toMs=${toMs - answers * 60_000}`,
    ]) {
      const isAnswered = await page.json(path, signal).then(
        () => true,
        (error: unknown) => {
          if (!signal.aborted) throw error
          return false
        },
      )
      if (isAnswered) answers += 1
    }
  }
  return answers
}

/** @returns when the log of a table has so many rows, in the time of `performance.now` */
async function untilLanded(location: string, rows: number): Promise<number> {
  const startedAt = performance.now()
  while (performance.now() - startedAt < landingDeadlineMs) {
    const landed = (await addedFiles(location)).reduce((sum, { records }) => sum + records, 0)
    if (landed === rows) return performance.now()
    if (landed > rows) throw new Error(`Of ${rows} lines ${landed} were landed.`)
    await delay(50)
  }
  throw new Error(`${rows} lines did not land within ${landingDeadlineMs} ms.`)
}

interface AddedFile {
  readonly size: number
  readonly records: number
}

/** The data files that the commits of a table have added. Nothing here is of Tailrace. */
async function addedFiles(location: string): Promise<readonly AddedFile[]> {
  const log = join(location, '_delta_log')
  const names = (await readdir(log).catch(() => [])).filter((name) => /^\d+\.json$/.test(name))
  const texts = await Promise.all(names.map((name) => readFile(join(log, name), 'utf8')))
  return texts.flatMap((text) =>
    text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { add?: { size: number; stats: string } })
      .flatMap(({ add }) =>
        add === undefined
          ? []
          : [{ size: add.size, records: (JSON.parse(add.stats) as { numRecords: number }).numRecords }],
      ),
  )
}

class PageClient {
  readonly #url: string
  readonly #pid: number | undefined

  /** @param pid of the process that answers, whose CPU time is counted */
  constructor(port: number, pid?: number) {
    this.#url = `http://127.0.0.1:${port}`
    this.#pid = pid
  }

  /** Asks for nothing that reads a table. */
  async isListening(): Promise<void> {
    const startedAt = performance.now()
    for (;;) {
      const isUp = await fetch(`${this.#url}/api/nothing`).then(
        (response) => response.text().then(() => true),
        () => false,
      )
      if (isUp) return
      if (performance.now() - startedAt > startDeadlineMs)
        throw new Error(`The page did not answer within ${startDeadlineMs} ms.`)
      await delay(20)
    }
  }

  async json<Reply>(path: string, signal?: AbortSignal): Promise<Spent & { readonly reply: Reply }> {
    const startedAt = performance.now()
    const startedCpuMs = cpuMsOf(this.#pid)
    const response = await fetch(`${this.#url}/api/${path}`, signal === undefined ? {} : { signal })
    const text = await response.text()
    if (!response.ok) throw new Error(`${path}: ${response.status} ${text}`)
    return {
      reply: JSON.parse(text) as Reply,
      tookMs: performance.now() - startedAt,
      cpuMs: cpuMsOf(this.#pid) - startedCpuMs,
    }
  }
}

/** Linux counts in hundredths of a second. */
function cpuMsOf(pid: number | undefined): number {
  if (pid === undefined || process.platform !== 'linux') return 0
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ')
  return (Number(fields[11]) + Number(fields[12])) * 10
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return port
}

function texts(answers: Readonly<Record<PageQuestion, Spent>>): string {
  return Object.entries(answers)
    .map(
      ([question, { tookMs, cpuMs }]) =>
        `${question} ${(tookMs / 1_000).toFixed(2)} s (CPU ${(cpuMs / 1_000).toFixed(2)} s)`,
    )
    .join(', ')
}
