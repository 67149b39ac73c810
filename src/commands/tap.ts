import { choosePipeline } from '../config/choose-pipelines.ts'
import type { ResolvedPipeline } from '../config/resolved.ts'
import { isAbort, TailraceError } from '../errors.ts'
import { escapeText } from '../reporting/escape-text.ts'
import { interactiveRetry, singleAttempt } from '../retry.ts'
import { ContainerStorage } from '../run/container-storage.ts'
import { type BlobRecord, readUnits } from '../run/unit-records.ts'
import type { BlobReader } from '../sources/blob-reader.ts'
import { selectionOf } from '../sources/discovery/blob-selection.ts'
import { createDiscovery } from '../sources/discovery/create-discovery.ts'
import { retryingReader } from '../sources/readers/observed-reader.ts'
import { headBytes } from '../sources/recognition/fingerprint.ts'
import { framingOf } from '../sources/recognition/framing.ts'
import { type TransformedRecord, transformLines } from '../streams/transform-lines.ts'
import type { CommandContext } from './command.ts'

export interface TapOptions {
  readonly pipeline: string
  /** End after this many lines. */
  readonly limit: number
  /** Show each n-th line only. Default 1. */
  readonly sample?: number | undefined
  /** Wait for appends until there are enough lines. Default false: end at the blob's end. */
  readonly follow?: boolean | undefined
  readonly json?: boolean | undefined
}

/** Bytes before the blob's end at which reading begins. */
const tailBytes = 256 * 1024
const readBytes = 1024 * 1024
const pollMs = 1_000

/** One line before and after the transforms. */
interface TappedLine {
  readonly blob: string
  readonly offset: number
  readonly outcome: 'kept' | 'changed' | 'dropped' | 'rejected'
  readonly before: string
  readonly after: readonly string[]
  /** Why the line is dropped or rejected. */
  readonly why: string | undefined
}

/**
 * Shows the newest lines of a pipeline's newest blob before and after its transforms. Nothing is landed.
 *
 * @returns the exit code: 0
 * @throws SOURCE_MISSING when there is no blob, SOURCE_UNSUPPORTED for a blob of another format
 */
export async function tap(context: CommandContext, options: TapOptions): Promise<number> {
  const { config, clock, logger } = context
  const chosen = choosePipeline(config, options.pipeline)
  const storage = new ContainerStorage(config.stateDirectory, options.follow === true, clock, logger)
  const ending = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => ending.abort())
  try {
    const reader = retryingReader(await storage.reader(chosen.source), { policy: interactiveRetry, clock })
    const blob = await newestBlob(reader, chosen.source, clock.now())
    const counts = { kept: 0, changed: 0, dropped: 0, rejected: 0 }
    let seen = 0
    const reading = {
      follows: options.follow === true,
      max: options.limit,
      pause: () => clock.sleep(pollMs, ending.signal),
    }
    for await (const line of linesOf(reader, blob, reading)) {
      const tapped = await tappedLine(
        line,
        chosen.transforms,
        options.pipeline,
        `${reader.container}/${blob}`,
      )
      if (tapped === undefined) continue
      counts[tapped.outcome] += 1
      if (seen % (options.sample ?? 1) === 0 && !(await print(context, tapped, options.json === true))) break
      seen += 1
      if (seen >= options.limit) break
    }
    const total = Object.entries(counts).map(([outcome, count]) => `${count} ${outcome}`)
    if (options.json !== true) await context.print(`${seen} lines of ${blob}: ${total.join(', ')}\n`)
    return 0
  } catch (error) {
    if (ending.signal.aborted && isAbort(error)) return 0
    throw error
  } finally {
    await storage.stop()
  }
}

async function newestBlob(
  reader: BlobReader,
  { blobs, startTimeMs, listMs, watchMs }: ResolvedPipeline['source'],
  nowMs: number,
): Promise<string> {
  const selection = selectionOf(blobs)
  if (selection.kind === 'one') return selection.name
  let newest: { readonly name: string; readonly modifiedAtMs: number } | undefined
  const discovery = createDiscovery(selection, { reader, startTimeMs, listMs, watchMs })
  for await (const blob of discovery.scan(nowMs, { policy: singleAttempt })) {
    if (blob.bytes > 0 && blob.modifiedAtMs >= (newest?.modifiedAtMs ?? 0)) newest = blob
  }
  if (newest === undefined)
    throw new TailraceError('SOURCE_MISSING', `The pipeline's source has no blob in ${reader.container}.`)
  return newest.name
}

interface LineReading {
  readonly follows: boolean
  /** Of a blob that does not hold lines, the last so many records are yielded. */
  readonly max: number
  readonly pause: () => Promise<void>
}

/** Yields the complete lines near the blob's end, and with `follows` those appended later. */
async function* linesOf(reader: BlobReader, blob: string, reading: LineReading): AsyncGenerator<BlobRecord> {
  const { follows, pause } = reading
  const head = await reader.read(blob, { offset: 0, maxBytes: headBytes })
  if (head.kind !== 'bytes') {
    throw new TailraceError('SOURCE_MISSING', `There is no byte in ${reader.container}/${blob}.`)
  }
  const framing = framingOf(head.bytes, head.blobType)
  if (framing.kind === 'refused') {
    throw new TailraceError('SOURCE_UNSUPPORTED', `${reader.container}/${blob} ${framing.reason}.`)
  }
  if (framing.kind !== 'lines') {
    yield* recordsOfUnits(reader, blob, framing.kind, reading)
    return
  }
  let offset = Math.max(0, head.totalBytes - tailBytes)
  let isInside = offset > 0
  let held = Buffer.alloc(0)
  for (;;) {
    const read = await reader.read(blob, { offset: offset + held.length, maxBytes: readBytes })
    if (read.kind !== 'bytes' || read.bytes.length === 0) {
      if (!follows) return
      await pause()
      continue
    }
    held = Buffer.concat([held, read.bytes])
    for (let end = held.indexOf(0x0a); end >= 0; end = held.indexOf(0x0a)) {
      const text = held.toString('utf8', 0, end)
      if (!isInside) yield { offset, text }
      isInside = false
      offset += end + 1
      held = held.subarray(end + 1)
    }
  }
}

/**
 * Yields the last records of the complete units, and with `follows` those of later ones. Gzip members are appended, so the
 * blob is read from the last one on; a document grows inside, so it is read whole again.
 */
async function* recordsOfUnits(
  reader: BlobReader,
  blob: string,
  framing: Parameters<typeof readUnits>[2],
  { follows, max, pause }: LineReading,
): AsyncGenerator<BlobRecord> {
  let seen = 0
  let from = 0
  let etag: string | undefined
  for (;;) {
    const head = await reader.read(blob, { offset: 0, maxBytes: headBytes, ifNoneMatch: etag })
    if (head.kind === 'bytes') {
      const { last, count, end } = await readUnits(reader, blob, framing, { from, max })
      // A blob with fewer records than before was written anew.
      const fresh = count < seen ? count : count - seen
      yield* last.slice(Math.max(0, last.length - fresh))
      if (framing === 'gzip') from = end
      else seen = count
      etag = head.etag
    }
    if (!follows) return
    await pause()
  }
}

async function tappedLine(
  { offset, text }: BlobRecord,
  transforms: Parameters<typeof transformLines>[1],
  pipeline: string,
  blob: string,
): Promise<TappedLine | undefined> {
  const place = { pipeline, blob, offset }
  const before = await transformLines([text], [], place)
  if (before.length === 0) return undefined
  const after = await transformLines([text], transforms, place)
  const rejected = after.find(({ reject }) => reject !== undefined)
  const raws = after.map(({ raw }) => raw)
  const outcome =
    rejected !== undefined
      ? 'rejected'
      : after.length === 0
        ? 'dropped'
        : isSame(before, after)
          ? 'kept'
          : 'changed'
  return { blob, offset, outcome, before: text, after: raws, why: whyOf(outcome, rejected) }
}

function isSame(before: readonly TransformedRecord[], after: readonly TransformedRecord[]): boolean {
  return before.length === after.length && before.every(({ raw }, index) => raw === after[index]?.raw)
}

function whyOf(outcome: TappedLine['outcome'], rejected: TransformedRecord | undefined): string | undefined {
  if (outcome === 'dropped') return 'a transform returned no record'
  if (rejected === undefined) return undefined
  return [rejected.reject, rejected.note].filter((one) => one !== undefined).join(': ')
}

function print({ printRaw, printRows }: CommandContext, line: TappedLine, json: boolean): Promise<boolean> {
  if (json) return printRows(`${JSON.stringify(line)}\n`)
  const { blob, offset, outcome, before, after, why } = line
  const lines = [
    `${blob} @ ${offset}: ${outcome}${why === undefined ? '' : `, ${why}`}`,
    `  - ${before}`,
    ...(outcome === 'changed' ? after.map((one) => `  + ${one}`) : []),
  ]
  return printRaw(`${lines.map(escapeText).join('\n')}\n`)
}
