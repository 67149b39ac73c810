import { pipeline as connect } from 'node:stream/promises'
import type { Clock } from './clock.ts'
import { isTailraceError } from './errors.ts'
import { LaneScheduler } from './lane-scheduler.ts'
import type { Logger } from './logger.ts'
import { compareOffsets } from './offsets/reconcile.ts'
import { PipelineResources } from './pipeline-resources.ts'
import { generationKey, type LandedBatch, spanBytes } from './records.ts'
import { type ResolvedConfig, type ResolvedPipeline, tableDirectory } from './resolve-config.ts'
import { retry } from './retry.ts'
import { retryLog } from './retry-log.ts'
import { LakehouseSink } from './sinks/lakehouse-sink.ts'
import type { CommittedOffset } from './sinks/table-committer.ts'
import type { BlobReader } from './sources/blob-reader.ts'
import { Batcher } from './streams/batcher.ts'
import { DiskGate } from './streams/disk-gate.ts'
import { DiskSpaceMonitor } from './streams/disk-space-monitor.ts'
import { LaneMerge } from './streams/lane-merge.ts'

export interface PipelineOptions {
  readonly name: string
  readonly config: ResolvedPipeline
  readonly shared: Pick<ResolvedConfig, 'stateDirectory' | 'disk'>
  readonly reader: BlobReader
  /** Go on after the blobs' ends, or drain to where they ended. */
  readonly follow: boolean
  readonly clock: Clock
  readonly logger: Logger
}

/** What a pipeline has done since its start. */
export interface PipelineCounters {
  rows: number
  rejected: number
  partial: number
  /** Source bytes landed. */
  bytes: number
  batches: number
}

/** A batch can touch hundreds of blobs; its log line names this many of them. */
const loggedSpans = 10

const nothingEncoded = { files: [], rows: 0, rejected: 0, partial: 0 }

/**
 * One source to one table: composes the stages and runs them.
 *
 * Everything is put together here with `stream.pipeline`; no stage knows another one.
 */
export class Pipeline {
  readonly name: string
  readonly counters: PipelineCounters = { rows: 0, rejected: 0, partial: 0, bytes: 0, batches: 0 }
  #config: ResolvedPipeline
  #clock: Clock
  #log: Logger
  #resources: PipelineResources
  #diskSpace: DiskSpaceMonitor
  #scheduler: LaneScheduler
  #lanes = new LaneMerge()
  #aborting = new AbortController()

  private constructor(options: PipelineOptions, resources: PipelineResources) {
    const { name, config, shared, reader, follow, clock, logger } = options
    const { staging, committer } = resources
    this.name = name
    this.#config = config
    this.#clock = clock
    this.#log = logger
    this.#resources = resources
    const { minFreeBytes, resumeFreeBytes, checkMs } = shared.disk
    this.#diskSpace = new DiskSpaceMonitor({
      directories: [staging.directory, tableDirectory(config)],
      minFreeBytes,
      ...(resumeFreeBytes === undefined ? {} : { resumeFreeBytes }),
      checkMs,
      removeExpired: () => staging.removeExpired(clock.now()),
      releaseCaches: () => committer.releaseCaches(),
      clock,
      logger,
    })
    this.#scheduler = new LaneScheduler({
      pipelineName: name,
      config,
      reader,
      follow,
      committedOffset: (source) => committer.committed().get(generationKey(source))?.offset,
      isFirstRun: committer.committed().size === 0,
      recordStart: async (source, offset) => {
        const span = { ...source, start: offset, end: offset }
        await retry(() => this.#diskSpace.withSpace(() => committer.land([span], nothingEncoded)), {
          signal: this.#aborting.signal,
          clock,
          onRetry: retryLog(logger, 'recording the start failed'),
        })
      },
      inlet: () => this.#lanes.inlet(),
      clock,
      logger,
    })
  }

  /**
   * Opens the table and reconciles the offset file with it.
   *
   * @throws TABLE_UNSUPPORTED, TABLE_SCHEMA_MISMATCH, TABLE_CORRUPT
   */
  static async open(options: PipelineOptions): Promise<Pipeline> {
    const resources = await PipelineResources.open({ ...options, removeLeftovers: true })
    const pipeline = new Pipeline(options, resources)
    try {
      await pipeline.#reconcile()
    } catch (error) {
      await resources.close()
      throw error
    }
    return pipeline
  }

  /** How far each blob generation is landed, by the table. */
  get committed(): ReadonlyMap<string, CommittedOffset> {
    return this.#resources.committer.committed()
  }

  /** Bytes of the blobs as last seen, how many of them are landed, and how many of those in this run. */
  get progress(): { readonly totalBytes: number; readonly landedBytes: number; readonly runBytes: number } {
    const landed = new Map<string, number>()
    // Later generations of a blob come later in the table, and only the newest one still has bytes to read.
    for (const { blob, offset } of this.committed.values()) landed.set(blob, offset)
    let totalBytes = 0
    let landedBytes = 0
    for (const [blob, bytes] of this.#scheduler.blobBytes) {
      totalBytes += bytes
      landedBytes += Math.min(bytes, landed.get(blob) ?? 0)
    }
    return { totalBytes, landedBytes, runBytes: this.counters.bytes }
  }

  /**
   * Runs until the blobs' ends, until `stop`, or until something fails for good.
   *
   * @throws the first failure; everything landed until then stays landed
   */
  async run(): Promise<void> {
    const { batch } = this.#config
    const { staging, encoder, committer, offsetStore } = this.#resources
    const diskSpace = this.#diskSpace
    const gate = new DiskGate(diskSpace)
    const batcher = new Batcher({ staging, diskSpace, ...batch, clock: this.#clock })
    const sink = new LakehouseSink({
      encoder,
      committer,
      offsets: offsetStore,
      diskSpace,
      onLanded: (landed) => this.#noteLanded(landed),
      clock: this.#clock,
      logger: this.#log,
    })
    const landing = connect([this.#lanes, gate, batcher, sink], { signal: this.#aborting.signal })
    const reading = this.#scheduler.run().then(
      () => this.#lanes.close(),
      (error: Error) => {
        this.#lanes.destroy(error)
        throw error
      },
    )
    // A sink that fails closes the lanes' inlets, and the lanes then fail with an error that only says so.
    landing.catch(() => this.#scheduler.stop())
    const [landed, read] = await Promise.allSettled([landing, reading])
    await this.#resources.close()
    if (read.status === 'rejected' && landed.status === 'rejected') {
      throw isTailraceError(read.reason) ? read.reason : landed.reason
    }
    if (landed.status === 'rejected') throw landed.reason
    if (read.status === 'rejected') throw read.reason
  }

  /** Gives everything back without having run. */
  async close(): Promise<void> {
    await this.#resources.close()
  }

  /**
   * Stops reading and lands what is complete; `run` resolves after that. While the disk is full nothing can be
   * landed, so the pipeline then ends at once: what it had read is read again by the next start.
   */
  stop(): void {
    this.#scheduler.stop()
    if (this.#diskSpace.isHolding) this.abort()
  }

  /** Ends at once; what is not landed is read again by the next start. */
  abort(): void {
    this.#scheduler.stop()
    this.#aborting.abort()
  }

  /** The table is the truth; the file only follows it. */
  async #reconcile(): Promise<void> {
    const { offsetStore, committer } = this.#resources
    const offsets = this.committed
    let finding: ReturnType<typeof compareOffsets> | { readonly kind: 'corrupt' }
    try {
      finding = compareOffsets(await offsetStore.read(), offsets)
    } catch (error) {
      if (!isTailraceError(error, 'OFFSET_FILE_CORRUPT')) throw error
      this.#log.error(
        { err: error },
        'the offset file is unusable: following the table and writing the file anew',
      )
      finding = { kind: 'corrupt' }
    }
    if (finding.kind === 'equal') return
    const file = offsetStore.path
    if (finding.kind === 'ahead') {
      this.#log.error(
        { file, blobs: finding.blobs },
        'the offset file claims more than the table holds: following the table',
      )
    } else if (finding.kind !== 'corrupt') {
      this.#log.info({ file, finding: finding.kind }, 'the offset file is rebuilt from the table')
    }
    await offsetStore.write(offsets.values(), committer.tableVersion)
  }

  #noteLanded({
    batch,
    rows,
    rejected,
    partial,
    tableVersion,
    fileBytes,
    encodeMs,
    commitMs,
  }: LandedBatch): void {
    const bytes = batch.spans.reduce((sum, span) => sum + spanBytes(span), 0)
    this.counters.rows += rows
    this.counters.rejected += rejected
    this.counters.partial += partial
    this.counters.bytes += bytes
    this.counters.batches += 1
    const { totalBytes, landedBytes } = this.progress
    this.#log.info(
      {
        blobs: batch.spans.slice(0, loggedSpans).map(({ blob, start, end }) => ({ blob, start, end })),
        blobCount: batch.spans.length,
        rows,
        bytes,
        fileBytes,
        tableVersion,
        encodeMs,
        commitMs,
        ageMs: this.#clock.now() - batch.openedAtMs,
        lagBytes: totalBytes - landedBytes,
      },
      'landed',
    )
    if (rejected + partial > 0) {
      this.#log.warn({ rejected, partial }, 'lines were rejected or did not fit: see tailrace rejects')
    }
  }
}
