import { pipeline as connect } from 'node:stream/promises'
import type { Clock } from '../clock.ts'
import type { ResolvedConfig, ResolvedPipeline } from '../config/resolved.ts'
import { isTailraceError } from '../errors.ts'
import { compareOffsets } from '../offsets/compare-offsets.ts'
import type { LandedOffsets } from '../offsets/landed-offsets.ts'
import type { OffsetFileWriter } from '../offsets/offset-file-writer.ts'
import {
  type BlobGeneration,
  type FailedBatch,
  generationKey,
  type LandedBatch,
  type PreparedBatch,
} from '../records.ts'
import type { Logger } from '../reporting/logger.ts'
import { LakehouseSink } from '../sinks/lakehouse-sink.ts'
import type { TableUpkeep } from '../sinks/sink.ts'
import type { TableCommitter } from '../sinks/table-committer.ts'
import type { BlobReader } from '../sources/blob-reader.ts'
import { blobTest, selectionOf } from '../sources/discovery/blob-selection.ts'
import { createDiscovery } from '../sources/discovery/create-discovery.ts'
import { shardTest } from '../sources/discovery/shard.ts'
import { ByteBudget } from '../sources/tailing/byte-budget.ts'
import { Batcher } from '../streams/batcher.ts'
import { customStages } from '../streams/custom/custom-stages.ts'
import { DiskGate } from '../streams/disk-gate.ts'
import { LaneMerge } from '../streams/lane-merge.ts'
import type { DiskSpaceMonitor } from '../streams/staging/disk-space-monitor.ts'
import { LandingLog, type LastLanded, maxLoggedSpans, type PipelineCounters } from './landing-log.ts'
import { heldAsSetAside, requireNoneHeld } from './lanes/held-blobs.ts'
import type { LaneContext } from './lanes/lane-context.ts'
import type { KnownBlob, LaneSchedule, ServerLag, SetAsideBlob } from './lanes/lane-schedule.ts'
import { ListedLanes } from './lanes/listed-lanes.ts'
import { NoLanes } from './lanes/no-lanes.ts'
import { SetAsideFile } from './lanes/set-aside-file.ts'
import { SingleLane } from './lanes/single-lane.ts'
import { type PipelinePulse, pulseOf } from './pipeline-pulse.ts'
import { PipelineStatistics } from './pipeline-statistics.ts'
import { recordStarts } from './record-starts.ts'
import { openResources, type PipelineResources } from './resources.ts'
import type { OpenedPipeline } from './supervised-pipeline.ts'

export interface PipelineOptions {
  readonly name: string
  readonly config: ResolvedPipeline
  readonly shared: Pick<ResolvedConfig, 'stateDirectory' | 'disk' | 'shard'>
  readonly reader: BlobReader
  /** Whether any request of the reader's account has succeeded since an instant. */
  readonly succeededSince: (instantMs: number) => boolean
  /** Wait for appends at the blobs' ends; otherwise end where each ended when it was first seen. */
  readonly follow: boolean
  /** Takes numbers over all runs of the pipeline. Default: of this run. */
  readonly statistics?: PipelineStatistics | undefined
  /** The instant up to which an earlier run has landed everything, in milliseconds since the epoch. Default: now. */
  readonly landedUpToMs?: number | undefined
  /** Called for each batch of the run. Default: no calls. */
  readonly onBatch?: BatchListener | undefined
  /** Aborts the opening, which has no deadline of its own. Unused afterwards. */
  readonly signal?: AbortSignal | undefined
  readonly clock: Clock
  readonly logger: Logger
}

/** Receives the result of each batch of a pipeline. No call throws. */
export interface BatchListener {
  /** Awaited before each commit. */
  preparing(prepared: PreparedBatch): Promise<void>
  landed(landing: LandedBatch): void
  failed(failed: FailedBatch): void
}

/**
 * Reads one source into one table: connects the stages with `stream.pipeline` and runs them. No stage knows another one.
 */
export class Pipeline implements OpenedPipeline {
  readonly name: string
  #config: ResolvedPipeline
  #clock: Clock
  #log: Logger
  #landingLog: LandingLog
  #onBatch: BatchListener | undefined
  #resources: PipelineResources
  #diskSpace: DiskSpaceMonitor
  #offsets: OffsetFileWriter
  #setAsideFile: SetAsideFile
  #upkeep: TableUpkeep | undefined
  #schedule: LaneSchedule
  /** Blobs that are not read in this run. */
  #held: readonly SetAsideBlob[]
  #follow: boolean
  #lanes: LaneMerge
  #budget: ByteBudget
  /** The stages of the run that hold rows; undefined before it. */
  #landingStages: { readonly batcher: Batcher; readonly sink: LakehouseSink } | undefined
  /** For each fenced generation, the offset up to which the sink has landed or dropped its bytes. */
  #settled = new Map<string, number>()
  #aborting: AbortController

  private constructor(options: PipelineOptions, resources: PipelineResources, aborting: AbortController) {
    const { name, config, shared, clock, logger } = options
    this.name = name
    this.#config = config
    this.#clock = clock
    this.#follow = options.follow
    this.#log = logger
    const { statistics = new PipelineStatistics() } = options
    this.#landingLog = new LandingLog({ clock, logger, statistics })
    this.#onBatch = options.onBatch
    this.#lanes = new LaneMerge(clock)
    this.#budget = new ByteBudget(config.source.maxBufferedBytes)
    this.#resources = resources
    this.#aborting = aborting
    this.#diskSpace = resources.diskSpace
    this.#offsets = resources.offsets
    this.#setAsideFile = new SetAsideFile(shared.stateDirectory, name)
    this.#held = heldAsSetAside(resources.committer, options.reader.container, clock.now())
    this.#schedule = this.#createSchedule(options)
  }

  /**
   * Opens the table and reconciles the offset file with it.
   *
   * @param openAll opens the resources of the stages; default: this machine's engine and files, and the configured table
   * @throws TABLE_UNSUPPORTED, TABLE_SCHEMA_MISMATCH, TABLE_CORRUPT
   */
  static async open(options: PipelineOptions, openAll = openResources): Promise<Pipeline> {
    const aborting = new AbortController()
    const signal =
      options.signal === undefined ? aborting.signal : AbortSignal.any([aborting.signal, options.signal])
    const resources = await openAll({ ...options, removeLeftovers: true, signal })
    try {
      const pipeline = new Pipeline(options, resources, aborting)
      await pipeline.#reconcile()
      await pipeline.#setAsideFile.write(pipeline.#held)
      return pipeline
    } catch (error) {
      await resources.close()
      throw error
    }
  }

  get counters(): PipelineCounters {
    return this.#landingLog.counters
  }

  /** The table's offset of each blob generation. */
  get landed(): LandedOffsets {
    return this.#resources.committer.landed()
  }

  /** The table's offsets of some generations' blobs, also those in its archive. */
  async offsetsOf(sources: readonly BlobGeneration[]): Promise<LandedOffsets> {
    await this.#resources.committer.archive?.recall(sources.map(({ blob }) => blob))
    return this.landed
  }

  /** Bytes of the known blobs that have not landed. */
  get lagBytes(): number {
    return this.#schedule.lagBytes
  }

  /** Known blobs: first those with the most bytes that have not landed. */
  knownBlobs(max: number): readonly KnownBlob[] {
    return this.#schedule.knownBlobs(max)
  }

  /** The known servers of Azure Monitor, the one with the most bytes that have not landed first. */
  serverLags(): readonly ServerLag[] {
    return this.#schedule.serverLags()
  }

  /** The last landed batch of this run. */
  get lastLanded(): LastLanded | undefined {
    return this.#landingLog.last
  }

  /** Whether the stream is held because disk space is short. */
  get isHeld(): boolean {
    return this.#diskSpace.isHolding
  }

  /** What the pipeline holds now. */
  get pulse(): PipelinePulse {
    const stages = {
      schedule: this.#schedule,
      lanes: this.#lanes,
      diskSpace: this.#diskSpace,
      budget: this.#budget,
      ...this.#landingStages,
    }
    return pulseOf(stages, this.#clock.now())
  }

  /** Running lanes. */
  get laneCount(): number {
    return this.#schedule.laneCount
  }

  /** Whether the source has had any blob, be it empty or landed before. */
  get hasFoundBlobs(): boolean {
    return this.#schedule.hasFoundBlobs
  }

  /** Blobs that are not read for a while, so that their neighbors are. */
  get setAside(): readonly SetAsideBlob[] {
    return [...this.#held, ...this.#schedule.setAside]
  }

  /**
   * Runs until the blobs' ends (without follow), until `stop`, or until a failure that is not retried.
   *
   * @throws the first failure; everything landed until then stays landed
   */
  async run(): Promise<void> {
    const { batch } = this.#config
    const { staging, encoder, committer } = this.#resources
    const diskSpace = this.#diskSpace
    const gate = new DiskGate(diskSpace)
    // Not before the run: a pipeline that is closed without one would leave timers behind.
    this.#upkeep = this.#resources.startUpkeep?.(() => diskSpace.isHolding)
    const batcher = new Batcher({ staging, diskSpace, ...batch, clock: this.#clock })
    const sink = new LakehouseSink({
      encoder,
      committer,
      offsets: {
        mirror: (offsets, tableVersion) => {
          this.#schedule.recordMarks()
          return this.#offsets.mirror(offsets, tableVersion)
        },
      },
      diskSpace,
      beforeCommit: (prepared) => this.#onBatch?.preparing(prepared) ?? Promise.resolve(),
      onLanded: (landed) => this.#noteLanded(landed),
      onFailed: (failed) => this.#onBatch?.failed(failed),
      onFenced: (fenced) => {
        for (const { span } of fenced) this.#settled.set(generationKey(span), span.end)
        this.#schedule.fence(fenced)
      },
      clock: this.#clock,
      logger: this.#log,
    })
    this.#landingStages = { batcher, sink }
    const landing = connect([this.#lanes, gate, batcher, sink], { signal: this.#aborting.signal })
    const reading = this.#schedule.run().then(
      () => this.#lanes.close(),
      (error: Error) => {
        this.#lanes.destroy(error)
        throw error
      },
    )
    // When one half fails, nothing can land any more: the abort ends the other half and its requests. The lanes then fail
    // with an error that only says that their inlets are closed.
    for (const one of [landing, reading]) one.catch(() => this.abort())
    const [landed, read] = await Promise.allSettled([landing, reading])
    const failure = firstCause(read, landed)
    await this.#close().catch((error: unknown) => {
      if (failure === undefined) throw error
      this.#log.warn({ err: error }, 'the pipeline could not be closed in order')
    })
    if (failure !== undefined) throw failure.reason
    // A drain has landed all other blobs, and is not complete.
    if (!this.#follow) requireNoneHeld(this.#resources.committer)
  }

  /** Releases all resources of a pipeline that was opened and not run. */
  async close(): Promise<void> {
    await this.#resources.close()
  }

  /**
   * Stops reading and lands the complete lines; `run` resolves after that. While the disk is full nothing can land, so the
   * pipeline is aborted instead.
   */
  stop(): void {
    this.#schedule.stop()
    // Not drained: a merge of small files that is cut off is done again later.
    void this.#upkeep?.stop()
    if (this.#diskSpace.isHolding) this.abort()
  }

  /** Ends at once; the next start reads again the bytes that have not landed. */
  abort(): void {
    this.#schedule.stop()
    void this.#upkeep?.stop()
    this.#aborting.abort()
  }

  #createSchedule({
    name,
    config,
    shared,
    reader,
    succeededSince,
    follow,
    landedUpToMs,
    clock,
    logger,
  }: PipelineOptions): LaneSchedule {
    const { committer } = this.#resources
    const { source } = config
    const held = new Set(this.#held.map(({ blob }) => blob))
    const isInShard = shared.shard === undefined ? () => true : shardTest(shared.shard)
    const isOwn = (blob: string): boolean => isInShard(blob) && !held.has(blob)
    const context: LaneContext = {
      config,
      customStages: () => customStages(config.transforms, name),
      reader,
      writtenForm: config.table.projection.writtenForm,
      isOwn,
      follow,
      landedOf: (blob) => committer.landed().of(blob),
      archive: committer.archive,
      isFirstRun: committer.landed().blobCount === 0 && committer.archive?.hasOwn !== true,
      landedUpToMs,
      recordStarts: async (starts) => {
        const { signal } = this.#aborting
        await recordStarts(starts, { committer, diskSpace: this.#diskSpace, signal, clock, logger })
        await this.#offsets
          .mirror(committer.landed(), committer.tableVersion)
          .catch((error: unknown) => this.#log.warn({ err: error }, 'the offset file was not written'))
      },
      markOf: (generation) => this.#offsets.markOf(generation),
      recordMark: (mark) => this.#offsets.recordMark(mark),
      inlet: (onTaken) => this.#lanes.inlet(onTaken),
      budget: this.#budget,
      staging: this.#resources.staging,
      diskSpace: this.#diskSpace,
      longTexts: this.#resources.longTexts,
      isSettled: (source, offset) => this.#isSettled(source, offset),
      refreshOffsets: async () => committer.refresh?.(),
      clock,
      logger,
    }
    const onSetAside = (blobs: readonly SetAsideBlob[]): void => this.#writeSetAside(blobs)
    const selection = selectionOf(source.blobs)
    // With its only blob held, the pipeline has nothing to go on with.
    if (selection.kind === 'one') requireNoneHeld(committer, `${reader.container}/${selection.name}`)
    if (selection.kind === 'one' && isOwn(selection.name))
      return new SingleLane(selection.name, context, onSetAside)
    if (selection.kind === 'one') {
      logger.info({ blob: selection.name }, 'another shard reads the blob of this pipeline')
      return new NoLanes(clock, follow)
    }
    const discovery = createDiscovery(selection, {
      reader,
      startTimeMs: source.startTimeMs,
      listMs: source.listMs,
      watchMs: source.watchMs,
      onSkipped: (skipped) =>
        logger.warn(skipped, 'some blobs under the resource are not hourly logs: skipped'),
    })
    return new ListedLanes(context, {
      discovery,
      succeededSince,
      onSetAside,
    })
  }

  /** For `tailrace status` of another process. A failure is only logged. */
  #writeSetAside(blobs: readonly SetAsideBlob[]): void {
    this.#setAsideFile
      .write([...this.#held, ...blobs])
      .catch((error: unknown) =>
        this.#log.warn({ err: error }, 'the list of blobs set aside was not written'),
      )
  }

  async #close(): Promise<void> {
    await this.#upkeep?.stop()
    // A large offset file is not written after each commit. A failure loses nothing: the table holds all offsets.
    await this.#offsets
      .flush()
      .catch((error: unknown) => this.#log.warn({ err: error }, 'the offset file was not written'))
    // After a run that follows, no blob is set aside any more. After a drain, the list is part of the result.
    if (this.#follow) this.#writeSetAside([])
    await this.#setAsideFile.settled()
    await this.#resources.close()
  }

  /** Compares the offset file with the table, and writes it again from the table if they differ. */
  async #reconcile(): Promise<void> {
    const { takeStoredOffsets, offsetFile, committer } = this.#resources
    const file = takeStoredOffsets()
    // The file of a process that ended before its table got an archive has offsets that are only there.
    if (file !== undefined && file !== 'corrupt') await recallLanded(committer, file.offsets)
    const finding =
      file === 'corrupt'
        ? { kind: 'corrupt' as const }
        : compareOffsets(file, this.landed, blobTest(this.#config.source))
    await committer.archive?.forget(() => false)
    const { archivedCount } = this.landed
    const isCurrent = typeof file !== 'object' || file.offsets.archivedCount === archivedCount
    if (finding.kind === 'equal' && isCurrent) return
    const path = offsetFile.path
    if (finding.kind === 'ahead') {
      this.#log.error(
        { file: path, blobs: finding.blobs.slice(0, maxLoggedSpans), blobCount: finding.blobs.length },
        'the offset file claims more than the table holds: following the table',
      )
    } else if (finding.kind === 'equal') {
      this.#log.info({ file: path, archivedCount }, 'the offset file leaves out the offsets in the archive')
    } else if (finding.kind !== 'corrupt') {
      this.#log.info({ file: path, finding: finding.kind }, 'the offset file is rebuilt from the table')
    }
    await this.#offsets.mirror(this.landed, committer.tableVersion)
  }

  /** Once it is settled nothing of it is in flight, so only another fence counts from then on. */
  #isSettled(source: BlobGeneration, offset: number): boolean {
    const key = generationKey(source)
    if ((this.#settled.get(key) ?? offset) < offset) return false
    this.#settled.delete(key)
    return true
  }

  #noteLanded(landed: LandedBatch): void {
    for (const span of landed.batch.spans) {
      const key = generationKey(span)
      if (this.#settled.has(key)) this.#settled.set(key, span.end)
    }
    if (landed.rows > 0) this.#upkeep?.noteLanded()
    this.#landingLog.note(landed, this.lagBytes)
    this.#onBatch?.landed(landed)
  }
}

/** Makes a table's archived offsets known of the blobs that a file has, so that the two can be compared. */
async function recallLanded(committer: TableCommitter, offsets: LandedOffsets): Promise<void> {
  const known = committer.landed()
  const unknown = [...offsets].filter((one) => known.get(one) === undefined)
  await committer.archive?.recall([...new Set(unknown.map(({ blob }) => blob))])
}

/** The failure that came first: when one half fails, the abort makes the other one fail, without an error code. */
function firstCause(
  read: PromiseSettledResult<void>,
  landed: PromiseSettledResult<void>,
): PromiseRejectedResult | undefined {
  const failed = [read, landed].filter((one) => one.status === 'rejected')
  return failed.find(({ reason }) => isTailraceError(reason)) ?? failed.at(-1)
}
