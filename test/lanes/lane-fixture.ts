import assert from 'node:assert/strict'
import { tmpdir } from 'node:os'
import { Writable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { systemClock } from '../../src/clock.ts'
import type { BlobsConfig, SourceConfig } from '../../src/config.ts'
import { LandedOffsets } from '../../src/landed-offsets.ts'
import type { LaneContext } from '../../src/lanes/lane-runner.ts'
import type { SetAsideBlob } from '../../src/lanes/lane-schedule.ts'
import { ListedLanes } from '../../src/lanes/listed-lanes.ts'
import { SingleLane } from '../../src/lanes/single-lane.ts'
import { silentLogger } from '../../src/logger.ts'
import { OffsetMirror } from '../../src/offsets/offset-mirror.ts'
import { type EntryBlock, generationKey, latin1AsText, type Span } from '../../src/records.ts'
import { type ResolvedPipeline, resolveConfig } from '../../src/resolve-config.ts'
import { ByteBudget } from '../../src/sources/byte-budget.ts'
import { selectionOf } from '../../src/sources/discovery/blob-selection.ts'
import { createDiscovery } from '../../src/sources/discovery/create-discovery.ts'
import { Staging } from '../../src/streams/staging.ts'
import { postgresLogs } from '../../src/tables/postgres-logs.ts'
import type { MemoryContainer } from './memory-container.ts'

/** What a table would hold: the spans landed, in order, and the text of their rows, by generation. */
export class Landing {
  readonly offsets = new LandedOffsets()
  readonly texts = new Map<string, string>()
  readonly order: Span[] = []
  readonly starts: Span[] = []
  readonly mirror = new OffsetMirror({ store: { write: async () => {} }, marks: [], clock: systemClock })

  async take({ span, entries, stored }: EntryBlock): Promise<void> {
    const known = this.offsets.get(span)
    assert.equal(span.start, known ?? span.start, `${generationKey(span)} does not go on where it was`)
    this.order.push(span)
    this.offsets.set({ ...span, offset: span.end })
    const key = generationKey(span)
    const parts = [entries]
    for await (const more of stored?.read() ?? []) parts.push(more)
    await stored?.discard()
    const text = parts
      .flat()
      .map(({ raw }) => `${latin1AsText(raw)}\n`)
      .join('')
    this.texts.set(key, (this.texts.get(key) ?? '') + text)
  }

  /** The rows of all generations of a blob, in order. */
  textOf(name: string): string {
    return this.offsets
      .of(`logs/${name}`)
      .map((generation) => this.texts.get(generationKey(generation)) ?? '')
      .join('')
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
}

/** A schedule over a container in memory, whose rows go to `landing`. Started again on the same landing, it goes on. */
export function schedule(reader: MemoryContainer, landing: Landing, options: ScheduleOptions = {}) {
  const { blobs = 'p/', follow = true, blockMs = 2, succeededSince, onSetAside, budget, ...source } = options
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
    pipelineName: 'p',
    config,
    reader,
    follow,
    landedOf: (blob) => landing.offsets.of(blob),
    isFirstRun: landing.offsets.blobCount === 0,
    recordStarts: async (starts) => {
      landing.starts.push(...starts)
      for (const { blob, generation, end } of starts) landing.offsets.set({ blob, generation, offset: end })
    },
    markOf: (generation) => landing.mirror.markOf(generation),
    noteMark: (mark) => landing.mirror.note(mark),
    inlet: () =>
      new Writable({
        objectMode: true,
        highWaterMark: 1,
        write: (block: EntryBlock, _encoding, done) => {
          landing.take(block).then(() => setTimeout(done, blockMs), done)
        },
      }),
    staging: new Staging(tmpdir(), 3_600_000),
    budget: budget ?? new ByteBudget(config.source.maxBufferedBytes),
    clock: systemClock,
    logger: silentLogger,
  }
  const selection = selectionOf(config.source.blobs)
  if (selection.kind === 'one') return new SingleLane(selection.name, context)
  return new ListedLanes(context, {
    discovery: createDiscovery(selection, {
      reader,
      startTimeMs: config.source.startTimeMs,
      watchMs: config.source.watchMs,
    }),
    succeededSince: succeededSince ?? (() => true),
    ...(onSetAside === undefined ? {} : { onSetAside }),
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
