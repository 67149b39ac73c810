import { join } from 'node:path'
import { Writable } from 'node:stream'
import type { Clock } from '../../src/clock.ts'
import { resolveConfig } from '../../src/config/resolve.ts'
import type { ResolvedPipeline } from '../../src/config/resolved.ts'
import type { LandedOffsets } from '../../src/offsets/landed-offsets.ts'
import { OffsetFileWriter } from '../../src/offsets/offset-file-writer.ts'
import type { EntryBlock } from '../../src/records.ts'
import { silentLogger } from '../../src/reporting/logger.ts'
import type { LaneContext } from '../../src/run/lanes/lane-context.ts'
import type { LaneSchedule } from '../../src/run/lanes/lane-schedule.ts'
import { ListedLanes } from '../../src/run/lanes/listed-lanes.ts'
import { SingleLane } from '../../src/run/lanes/single-lane.ts'
import type { BlobReader } from '../../src/sources/blob-reader.ts'
import type { BlobsConfig } from '../../src/sources/discovery/blob-selection.ts'
import { selectionOf } from '../../src/sources/discovery/blob-selection.ts'
import { createDiscovery } from '../../src/sources/discovery/create-discovery.ts'
import { ByteBudget } from '../../src/sources/tailing/byte-budget.ts'
import { Staging } from '../../src/streams/staging/staging.ts'
import { postgresLogs } from '../../src/tables/postgres/logs.ts'

/**
 * The lanes of a pipeline with the default options, on a clock of any kind, whose rows go nowhere.
 *
 * @param landed takes how far each blob was read
 */
export function virtualLanes(
  blobs: BlobsConfig,
  {
    reader,
    clock,
    landed,
    scratch,
  }: { reader: BlobReader; clock: Clock; landed: LandedOffsets; scratch: string },
): LaneSchedule {
  const { pipelines } = resolveConfig(
    {
      pipelines: {
        bench: {
          source: { storage: { kind: 'embedded' }, container: reader.container, blobs },
          table: postgresLogs('bench.public.idle'),
          sink: { kind: 'delta', root: scratch },
        },
      },
    },
    scratch,
  )
  const config = pipelines.bench as ResolvedPipeline
  const marks = new OffsetFileWriter({ file: { write: async () => {} }, marks: [], clock })
  const context: LaneContext = {
    config,
    customStages: () => [],
    reader,
    follow: true,
    landedOf: (blob) => landed.of(blob),
    isFirstRun: true,
    recordStarts: async (starts) => {
      for (const { blob, generation, end } of starts) landed.set({ blob, generation, offset: end })
    },
    markOf: (generation) => marks.markOf(generation),
    recordMark: (mark) => marks.recordMark(mark),
    inlet: (onTaken) =>
      new Writable({
        objectMode: true,
        highWaterMark: 1,
        write: (block: EntryBlock, _encoding, done) => {
          const { blob, generation, end } = block.span
          onTaken(block)
          landed.set({ blob, generation, offset: end })
          done()
        },
      }),
    budget: new ByteBudget(config.source.maxBufferedBytes),
    staging: new Staging(join(scratch, 'staging'), config.batch.maxAgeMs),
    clock,
    logger: silentLogger,
  }
  const selection = selectionOf(config.source.blobs)
  if (selection.kind === 'one') return new SingleLane(selection.name, context)
  const { startTimeMs, listMs, watchMs } = config.source
  const discovery = createDiscovery(selection, { reader, startTimeMs, listMs, watchMs })
  return new ListedLanes(context, { discovery, succeededSince: () => true })
}
