import assert from 'node:assert/strict'
import { tmpdir } from 'node:os'
import { Writable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { type Clock, systemClock } from '../../../src/clock.ts'
import { resolveConfig } from '../../../src/config/resolve.ts'
import type { ResolvedPipeline } from '../../../src/config/resolved.ts'
import { type LandedOffset, LandedOffsets } from '../../../src/offsets/landed-offsets.ts'
import { OffsetFileWriter } from '../../../src/offsets/offset-file-writer.ts'
import {
  compareGenerations,
  type Entry,
  type EntryBlock,
  type GenerationMark,
  generationKey,
  latin1AsText,
  type Span,
} from '../../../src/records.ts'
import { silentLogger } from '../../../src/reporting/logger.ts'
import type { LaneContext } from '../../../src/run/lanes/lane-context.ts'
import type { SetAsideBlob } from '../../../src/run/lanes/lane-schedule.ts'
import { ListedLanes } from '../../../src/run/lanes/listed-lanes.ts'
import { SingleLane } from '../../../src/run/lanes/single-lane.ts'
import type { CommitterArchive } from '../../../src/sinks/table-committer.ts'
import type { BlobReader } from '../../../src/sources/blob-reader.ts'
import type { BlobsConfig } from '../../../src/sources/discovery/blob-selection.ts'
import { selectionOf } from '../../../src/sources/discovery/blob-selection.ts'
import { createDiscovery } from '../../../src/sources/discovery/create-discovery.ts'
import type { SourceConfig } from '../../../src/sources/options.ts'
import { ByteBudget } from '../../../src/sources/tailing/byte-budget.ts'
import { Staging } from '../../../src/streams/staging/staging.ts'
import { postgresLogs } from '../../../src/tables/postgres/logs.ts'
import { allEntries } from '../../streams/record-blocks.ts'
import type { MemoryContainer } from './memory-container.ts'

/** What a table would hold: the spans landed, in order, and the text of their rows, by generation. */
export class Landing {
  readonly offsets = new LandedOffsets()
  readonly texts = new Map<string, string>()
  readonly order: Span[] = []
  readonly starts: Span[] = []
  readonly mirror: OffsetFileWriter
  /** Blocks are taken and never committed. */
  isHeld = false
  #ends = new LandedOffsets()
  #landedTexts = new Map<string, string>()

  constructor(marks: readonly GenerationMark[] = []) {
    this.mirror = new OffsetFileWriter({ file: { write: async () => {} }, marks, clock: systemClock })
  }

  /** What each generation is recognized by. */
  get marks(): readonly GenerationMark[] {
    return [...this.offsets].flatMap((one) => this.mirror.markOf(one) ?? [])
  }

  /** What a process that starts after this one was killed finds. @param marks in its offset file */
  afterKill(marks = this.marks): Landing {
    const next = new Landing(structuredClone(marks))
    for (const landed of this.offsets)
      next.#restore(landed, this.#landedTexts.get(generationKey(landed)) ?? '')
    return next
  }

  /** Records where a cold start begins. */
  begin(start: Span): void {
    this.starts.push(start)
    this.#restore({ ...start, offset: start.end }, '')
  }

  async take(block: EntryBlock): Promise<void> {
    const { span, stored } = block
    assert.equal(span.start, this.#ends.get(span) ?? 0, `${generationKey(span)} does not go on where it was`)
    this.order.push(span)
    this.#ends.set({ ...span, offset: span.end })
    const key = generationKey(span)
    const parts: (readonly Entry[])[] = [allEntries(block)]
    block.usual?.release()
    block.release?.()
    for await (const more of stored?.read() ?? []) parts.push(more)
    await stored?.discard()
    const text = parts
      .flat()
      .map(({ raw }) => `${latin1AsText(raw)}\n`)
      .join('')
    this.texts.set(key, (this.texts.get(key) ?? '') + text)
    if (this.isHeld) return
    this.offsets.set({ ...span, offset: span.end })
    this.#landedTexts.set(key, this.texts.get(key) ?? '')
  }

  /** The rows of all generations of a blob, in order. */
  textOf(name: string): string {
    return this.generationsOf(name)
      .map(({ text }) => text)
      .join('')
  }

  /** The rows of the generation of a blob that came last. */
  lastTextOf(name: string): string {
    return this.generationsOf(name).at(-1)?.text ?? ''
  }

  /** The rows of each generation of a blob, the newest one last. */
  generationsOf(name: string): { readonly generation: string; readonly text: string }[] {
    return [...this.#ends]
      .filter(({ blob }) => blob === `logs/${name}`)
      .sort(compareGenerations)
      .map((source) => ({
        generation: source.generation,
        text: this.texts.get(generationKey(source)) ?? '',
      }))
  }

  #restore(landed: LandedOffset, text: string): void {
    this.offsets.set(landed)
    this.#ends.set(landed)
    this.texts.set(generationKey(landed), text)
    this.#landedTexts.set(generationKey(landed), text)
  }
}

export interface ScheduleOptions extends Partial<Omit<SourceConfig, 'storage' | 'container' | 'blobs'>> {
  readonly blobs?: BlobsConfig
  readonly follow?: boolean
  readonly succeededSince?: () => boolean
  readonly onSetAside?: (blobs: readonly SetAsideBlob[]) => void
  /** How long the sink takes for a block, in milliseconds. */
  readonly blockMs?: number
  readonly budget?: ByteBudget
  readonly clock?: Clock
  readonly maxQueued?: number
  readonly archive?: CommitterArchive
}

/** A schedule over a container in memory, whose rows go to `landing`. Started again on the same landing, it goes on. */
export function schedule(reader: BlobReader, landing: Landing, options: ScheduleOptions = {}) {
  const { blobs = 'p/', follow = true, blockMs = 2, clock = systemClock, ...others } = options
  const { succeededSince, onSetAside, budget, maxQueued, archive, ...source } = others
  const { pipelines } = resolveConfig(
    {
      pipelines: {
        p: {
          source: {
            storage: { kind: 'embedded' },
            container: reader.container,
            blobs,
            pollMs: 100,
            discoverMs: 100,
            rangeBytes: 64 * 1024,
            ...source,
          },
          table: postgresLogs('a.b.c'),
          sink: { kind: 'delta', root: '.' },
        },
      },
    },
    '/',
  )
  const config = pipelines.p as ResolvedPipeline
  const context: LaneContext = {
    config,
    customStages: () => [],
    reader,
    follow,
    landedOf: (blob) => landing.offsets.of(blob),
    archive,
    isFirstRun: landing.offsets.blobCount === 0,
    recordStarts: async (starts) => {
      for (const start of starts) landing.begin(start)
    },
    markOf: (generation) => landing.mirror.markOf(generation),
    recordMark: (mark) => landing.mirror.recordMark(mark),
    inlet: (onTaken) =>
      new Writable({
        objectMode: true,
        highWaterMark: 1,
        write: (block: EntryBlock, _encoding, done) => {
          onTaken(block)
          landing.take(block).then(() => (blockMs === 0 ? done() : setTimeout(done, blockMs)), done)
        },
      }),
    staging: new Staging(tmpdir(), 3_600_000),
    budget: budget ?? new ByteBudget(config.source.maxBufferedBytes),
    clock,
    logger: silentLogger,
  }
  const selection = selectionOf(config.source.blobs)
  if (selection.kind === 'one') return new SingleLane(selection.name, context)
  return new ListedLanes(context, {
    discovery: createDiscovery(selection, {
      reader,
      startTimeMs: config.source.startTimeMs,
      listMs: config.source.listMs,
      watchMs: config.source.watchMs,
    }),
    succeededSince: succeededSince ?? (() => true),
    ...(onSetAside === undefined ? {} : { onSetAside }),
    ...(maxQueued === undefined ? {} : { maxQueued }),
  })
}

/** Waits until something holds; fails when it does not within half a minute. */
export async function until(holds: () => boolean, what: string): Promise<void> {
  for (let round = 0; round < 1_500; round += 1) {
    if (holds()) return
    await delay(20)
  }
  assert.fail(`not in time: ${what}`)
}

/** Waits until every blob is handed on to its end. */
export async function untilWhole(reader: MemoryContainer, landing: Landing): Promise<void> {
  const isWhole = (name: string): boolean =>
    landing.offsets.of(`logs/${name}`).at(-1)?.offset === reader.content(name).length
  await until(() => reader.names.every(isWhole), 'every blob is read to its end')
}
