import { choosePipelines } from '../config/choose-pipelines.ts'
import type { ResolvedPipeline } from '../config/resolved.ts'
import { isTailraceError, TailraceError } from '../errors.ts'
import { requireWritable, withStateErrors } from '../offsets/state-files.ts'
import { singleAttempt } from '../retry.ts'
import { forEachPipeline } from '../run/inspection/for-each-pipeline.ts'
import { recordRows } from '../run/record-rows.ts'
import { ArrivalRate } from '../sources/arrival-rate.ts'
import type { BlobReader, ListedBlob } from '../sources/blob-reader.ts'
import { hourOf, serverOf } from '../sources/discovery/azure-monitor-layout.ts'
import type { BlobDiscovery } from '../sources/discovery/blob-discovery.ts'
import { type AzureMonitorBlobs, type BlobsUnder, selectionOf } from '../sources/discovery/blob-selection.ts'
import { createDiscovery } from '../sources/discovery/create-discovery.ts'
import { explainMissing } from '../sources/discovery/explain-missing.ts'
import { describePrefixes } from './checking/describe-prefixes.ts'
import type { CommandContext } from './command.ts'
import { codeOfEmptySources } from './exit-code.ts'
import { costSentence, landingCosts } from './landing-costs.ts'
import { usualRecord } from './usual-record.ts'

export interface CheckOptions {
  /** Send no request: check only the config, the transforms and the SQL of the tables. Default false. */
  readonly offline?: boolean | undefined
  /** Check only this pipeline. Default: all. */
  readonly pipeline?: string | undefined
  /** A source without a blob is no failure. Default false. */
  readonly allowEmpty?: boolean | undefined
  /** Limit of the whole command, in milliseconds. Default 300,000. */
  readonly maxDurationMs?: number | undefined
}

/** Longer than the five attempts of a few requests, and enough to list a million blobs. */
const defaultMaxDurationMs = 300_000

/**
 * Sends requests to every endpoint of a valid config and prints the results. A request without an answer is sent five
 * times.
 *
 * @returns the exit code: `nothingFound` when a pipeline's source has no blob, unless that is allowed
 * @throws TABLE_UNAVAILABLE or SOURCE_UNAVAILABLE when the time is over
 */
export async function check(
  context: CommandContext,
  { pipeline: only, allowEmpty, maxDurationMs = defaultMaxDurationMs, offline = false }: CheckOptions = {},
): Promise<number> {
  const { config, clock, logger, print } = context
  const { stateDirectory } = config
  if (offline) return checkOffline(context, only)
  await withStateErrors(stateDirectory, () => requireWritable(stateDirectory))
  const empty: string[] = []
  const left = choosePipelines(config, only).map(([name]) => name)
  const bytesPerDay = new Map<string, number>()
  let isAtSource = false
  const limit = new AbortController()
  const cancel = clock.after(maxDurationMs, () =>
    limit.abort(timeIsUp(`pipeline ${left[0]}`, isAtSource, maxDurationMs)),
  )
  try {
    await forEachPipeline(
      context,
      only,
      async ({ name, pipeline, reader, table }) => {
        for (const sentence of await table.check()) await print(`${name}: ${sentence}\n`)
        isAtSource = true
        const rate = new ArrivalRate(clock.now())
        const sentences = describeSource(pipeline, reader, clock.now(), rate)
        let next = await sentences.next()
        for (; next.done !== true; next = await sentences.next()) await print(`${name}: ${next.value}\n`)
        if (!next.value) empty.push(name)
        bytesPerDay.set(name, rate.bytesPerDay)
        isAtSource = false
        left.shift()
      },
      limit.signal,
    )
    for (const cost of await landingCosts(context, bytesPerDay, limit.signal))
      await print(`${costSentence(cost)}\n`)
  } catch (error) {
    // A request that the signal ends may fail with an error of its own.
    limit.signal.throwIfAborted()
    throw error
  } finally {
    cancel()
  }
  return codeOfEmptySources(empty, { allowEmpty, logger })
}

/**
 * Sends one usual record through the transforms and the SQL of each table.
 *
 * @returns the exit code: 1 when a record is rejected
 */
async function checkOffline({ config, print }: CommandContext, only: string | undefined): Promise<number> {
  let code = 0
  for (const [name, pipeline] of choosePipelines(config, only)) {
    const { table, transforms } = pipeline
    const rows = await recordRows(name, pipeline, Buffer.from(`${JSON.stringify(usualRecord)}\n`))
    const rejected = rows.find(({ parse_status }) => parse_status === 'rejected')
    if (rejected !== undefined) code = 1
    const made =
      rejected === undefined
        ? `becomes ${rows.length} ${rows.length === 1 ? 'row' : 'rows'}`
        : `is rejected: ${rejected.parse_error}`
    const { catalog, schema, table: last } = table.name
    await print(
      `${name}: ${transforms.length} transforms, ${table.columns.length} columns of ${catalog}.${schema}.${last}; a usual record ${made}\n`,
    )
  }
  return code
}

function timeIsUp(pipeline: string, isAtSource: boolean, limitMs: number): TailraceError {
  return new TailraceError(
    isAtSource ? 'SOURCE_UNAVAILABLE' : 'TABLE_UNAVAILABLE',
    `The ${isAtSource ? 'source' : 'table'} of ${pipeline} was not checked within ${limitMs} ms; --max-duration sets another limit.`,
    { context: { limitMs } },
  )
}

/** Yields sentences about a source. Returns whether it has any blob. */
type Description = AsyncGenerator<string, boolean>

/** Yields sentences about blobs. Returns the names of each server's newest one that is not empty; undefined when there is no blob. */
type BlobsDescription = AsyncGenerator<string, readonly string[] | undefined>

async function* describeSource(
  { source, table }: Pick<ResolvedPipeline, 'source' | 'table'>,
  reader: BlobReader,
  nowMs: number,
  rate: ArrivalRate,
): Description {
  const selection = selectionOf(source.blobs)
  const sentences =
    selection.kind === 'one'
      ? describeBlob(reader, selection.name, nowMs, rate)
      : selection.kind === 'under'
        ? describeUnder(selection, source, reader, nowMs, rate)
        : describeHours(selection, source, reader, nowMs, rate)
  const newest = yield* sentences
  if (newest === undefined) return false
  yield* describePrefixes(newest, reader, table)
  return true
}

/** Reads one byte: a credential may have no permission to list. */
async function* describeBlob(
  reader: BlobReader,
  name: string,
  nowMs: number,
  rate: ArrivalRate,
): BlobsDescription {
  const head = await reader.read(name, { offset: 0, maxBytes: 1 })
  if (head.kind === 'bytes')
    rate.note({ bytes: head.totalBytes, createdAt: head.createdAt, modifiedAtMs: nowMs })
  const blob = `blob ${reader.container}/${name}`
  if (head.kind === 'missing')
    yield `${await explainMissing(reader, name, head.what)} A run would wait for it.`
  else if (head.kind === 'bytes' && head.totalBytes > 0) yield `${blob} has ${head.totalBytes} bytes`
  else yield `${blob} is empty: a run would wait for its first byte`
  if (head.kind === 'missing') return undefined
  return head.kind === 'bytes' ? [name] : []
}

async function* describeUnder(
  selection: BlobsUnder,
  { startTimeMs, listMs, watchMs }: ResolvedPipeline['source'],
  reader: BlobReader,
  nowMs: number,
  rate: ArrivalRate,
): BlobsDescription {
  const { prefix, written } = selection
  let listed = 0
  const matches = (name: string): boolean => {
    listed += 1
    return selection.matches(name)
  }
  const discovery = createDiscovery({ ...selection, matches }, { reader, startTimeMs, listMs, watchMs })
  const found = await count(discovery, nowMs, rate)
  if (found === undefined) {
    yield `${await explainMissing(reader, prefix, 'container')} A run would wait for it.`
  } else if (prefix === written && found.count === 0 && listed === 0) {
    yield `${await explainMissing(reader, prefix, 'blob')} A run would wait for blobs.`
  } else {
    yield `${described(found)} under ${discovery.described}${since(startTimeMs)}`
    if (prefix !== written) {
      yield `the pattern is matched against the ${listed} blobs under ${reader.container}/${prefix}`
    }
    if (found.newest !== undefined) yield `the newest one is ${found.newest.name}, of ${timeOf(found.newest)}`
  }
  return found && newestNames(found)
}

async function* describeHours(
  selection: AzureMonitorBlobs,
  { startTimeMs, listMs, watchMs }: ResolvedPipeline['source'],
  reader: BlobReader,
  nowMs: number,
  rate: ArrivalRate,
): BlobsDescription {
  let skipped = ''
  const onSkipped = ({ count, firstName }: { readonly count: number; readonly firstName: string }): void => {
    skipped = `${count} other ${count === 1 ? 'name is' : 'names are'} skipped, such as ${firstName}`
  }
  const discovery = createDiscovery(selection, { reader, startTimeMs, listMs, watchMs, onSkipped })
  const found = await count(discovery, nowMs, rate)
  if (found === undefined) {
    yield `${await explainMissing(reader, selection.ids.join(' '), 'container')} A run would wait for it.`
    return undefined
  }
  yield `${described(found)} under ${discovery.described}${since(startTimeMs)}`
  if (found.newestHourMs !== undefined) {
    yield `the newest hour began at ${new Date(found.newestHourMs).toISOString()}`
  }
  if (skipped !== '') yield skipped
  return newestNames(found)
}

/** The totals of a listing. */
interface Found {
  count: number
  bytes: number
  /** The blob that was modified last. */
  newest: ListedBlob | undefined
  /** By server, the blob that was modified last and is not empty; of other layouts by the key `undefined`. */
  newestOf: Map<string | undefined, ListedBlob>
  newestHourMs: number | undefined
}

/** @returns undefined when the container does not exist */
async function count(discovery: BlobDiscovery, nowMs: number, rate: ArrivalRate): Promise<Found | undefined> {
  const found: Found = { count: 0, bytes: 0, newest: undefined, newestOf: new Map(), newestHourMs: undefined }
  try {
    for await (const blob of discovery.scan(nowMs, { policy: singleAttempt })) {
      rate.note(blob)
      found.count += 1
      found.bytes += blob.bytes
      if (found.newest === undefined || blob.modifiedAtMs > found.newest.modifiedAtMs) found.newest = blob
      const server = serverOf(blob.name)
      if (blob.bytes > 0 && blob.modifiedAtMs > (found.newestOf.get(server)?.modifiedAtMs ?? 0))
        found.newestOf.set(server, blob)
      const hour = hourOf(blob.name)
      if (hour !== undefined) found.newestHourMs = Math.max(hour, found.newestHourMs ?? hour)
    }
  } catch (error) {
    if (isTailraceError(error, 'SOURCE_MISSING')) return undefined
    throw error
  }
  return found
}

/** @returns names of the newest blob of each server, the newest first; undefined when there is no blob */
function newestNames({ count, newestOf }: Found): readonly string[] | undefined {
  if (count === 0) return undefined
  const newestFirst = [...newestOf.values()].toSorted((one, other) => other.modifiedAtMs - one.modifiedAtMs)
  return newestFirst.map(({ name }) => name)
}

function described({ count, bytes }: Found): string {
  return `${count} ${count === 1 ? 'blob' : 'blobs'} of ${bytes} bytes`
}

function since(startTimeMs: number | undefined): string {
  return startTimeMs === undefined ? '' : `, from ${new Date(startTimeMs).toISOString()} on`
}

function timeOf({ modifiedAtMs }: ListedBlob): string {
  return new Date(modifiedAtMs).toISOString()
}
