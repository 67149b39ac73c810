import { sleepUnlessAborted } from '../../clock.ts'
import type { Logger } from '../../reporting/logger.ts'
import { isPowerOfTwo } from '../../reporting/retry-log.ts'
import { longerPause } from '../../retry.ts'
import { explainMissing } from '../../sources/discovery/explain-missing.ts'
import type { ColdStart } from '../../sources/recognition/identify-blob.ts'
import type { BlobMemory } from './blob-memory.ts'
import { fence, fencedError } from './fenced-blob.ts'
import type { LaneContext } from './lane-context.ts'
import { LaneRunner } from './lane-runner.ts'
import type { FencedRange, KnownBlob, LaneSchedule, QueuedBlobs, SetAsideBlob } from './lane-schedule.ts'

/** The lanes of one blob given by its name, one after the other; while the blob does not exist, it is waited for. */
export class SingleLane implements LaneSchedule {
  #setAside: readonly SetAsideBlob[] = []
  #hasFoundBlobs = false
  #onSetAside: (blobs: readonly SetAsideBlob[]) => void
  /** The lane is ending, because another process landed bytes that it had read. */
  #isYielding = false
  #context: LaneContext
  #log: Logger
  #runner: LaneRunner
  #memory: BlobMemory
  /** `latest` counts for the first lane of a pipeline's first run: a blob created later is read whole. */
  #coldStart: ColdStart
  /** Up to when everything was handed on when there was no lane. */
  #handedOnUpToMs: number

  constructor(
    blobName: string,
    context: LaneContext,
    onSetAside: (blobs: readonly SetAsideBlob[]) => void = () => {},
  ) {
    this.#context = context
    this.#onSetAside = onSetAside
    this.#log = context.logger
    this.#runner = new LaneRunner(context)
    this.#memory = { name: blobName, seenBytes: 0 }
    this.#handedOnUpToMs = context.landedUpToMs ?? context.clock.now()
    this.#coldStart = context.isFirstRun ? context.config.source.coldStart : 'earliest'
  }

  get laneCount(): number {
    return this.#runner.laneOf(this.#memory.name) === undefined ? 0 : 1
  }

  get queuedBlobs(): QueuedBlobs {
    return { live: 0, backlog: 0 }
  }

  get handedOnUpToMs(): number {
    if (this.#setAside.length > 0) return this.#context.clock.now()
    return this.#runner.laneOf(this.#memory.name)?.handedOnUpToMs ?? this.#handedOnUpToMs
  }

  get heldSinceMs(): number | undefined {
    return this.#runner.heldSinceMs
  }

  get lagBytes(): number {
    const { offset, bytes } = this.#lag()
    return Math.max(0, bytes - offset)
  }

  knownBlobs(): readonly KnownBlob[] {
    return [this.#lag()]
  }

  serverLags(): readonly [] {
    return []
  }

  #lag(): KnownBlob {
    const { name, next, seenBytes } = this.#memory
    const blob = `${this.#context.reader.container}/${name}`
    const lane = this.#runner.laneOf(name)
    const generation = lane?.generation ?? next?.generation
    const landed = this.#context.landedOf(blob).find((known) => known.generation === generation)
    const state = this.#setAside.length > 0 ? 'set aside' : lane === undefined ? 'gone' : 'reading'
    return { blob, generation, state, offset: landed?.offset ?? 0, bytes: lane?.totalBytes ?? seenBytes }
  }

  get hasFoundBlobs(): boolean {
    return this.#hasFoundBlobs
  }

  get setAside(): readonly SetAsideBlob[] {
    return this.#setAside
  }

  fence(ranges: readonly FencedRange[]): void {
    const { follow, reader } = this.#context
    const { name, next } = this.#memory
    const lane = this.#runner.laneOf(name)
    for (const { span, landedTo } of ranges) {
      if (span.blob !== `${reader.container}/${name}`) continue
      if ((lane?.generation ?? next?.generation) !== span.generation) continue
      lane?.stop()
      if (follow || lane !== undefined) this.#isYielding = true
      // A drain is done with a blob that it has read to its end, once the other process has landed it up to there.
      else if (landedTo < (next?.offset ?? 0)) this.#setFencedAside()
    }
  }

  recordMarks(): void {
    this.#runner.recordMarks()
  }

  stop(): void {
    this.#runner.stop()
  }

  async run(): Promise<void> {
    const { follow, clock, config } = this.#context
    const { signal } = this.#runner
    const { pollMs, maxPollMs } = config.source
    let pauseMs = pollMs
    for (let isReported = false; !signal.aborted; ) {
      const opened = await this.#runner.open(this.#memory, { follow, coldStart: this.#coldStart })
      this.#coldStart = 'earliest'
      if (opened.kind === 'stopped') return
      this.#hasFoundBlobs ||= opened.kind !== 'missing'
      if (opened.kind === 'lane') {
        isReported = false
        pauseMs = pollMs
        const end = await this.#runner.run(opened.lane, this.#memory)
        this.#handedOnUpToMs = opened.lane.handedOnUpToMs ?? this.#handedOnUpToMs
        if (this.#isYielding && !signal.aborted) {
          this.#setFencedAside()
          if (!follow) return
          await this.#waitFenced()
          continue
        }
        if (end !== 'replaced' && !(end === 'missing' && follow)) return
        if (opened.lane.hasProgressed) continue
      } else {
        this.#handedOnUpToMs = clock.now()
        if (!isReported) await this.#reportMissing(opened)
        isReported = true
        if (!follow) return
      }
      await sleepUnlessAborted(clock, pauseMs, signal)
      pauseMs = longerPause(pauseMs, maxPollMs)
    }
  }

  #setFencedAside(): void {
    const { clock, config } = this.#context
    this.#isYielding = false
    const aside = fence(this.#memory, clock.now())
    this.#setAside = [aside]
    this.#onSetAside(this.#setAside)
    const { failures, untilMs, blob } = aside
    if (isPowerOfTwo(failures))
      this.#log.error(
        { blob, failures, untilMs },
        'another process lands the only blob of this pipeline: set aside',
      )
    if (config.whenFenced === 'exit') throw fencedError(blob)
  }

  /** Waits until the sink has dropped the bytes in flight: read again before that, they would be dropped, too. */
  async #waitFenced(): Promise<void> {
    const { clock, config, reader, isSettled = () => true, refreshOffsets } = this.#context
    const { signal } = this.#runner
    const { generation = '', readTo = 0 } = this.#memory.fence ?? {}
    const source = { blob: `${reader.container}/${this.#memory.name}`, generation }
    for (let pauseMs = Math.max(0, (this.#setAside[0]?.untilMs ?? 0) - clock.now()); ; ) {
      await sleepUnlessAborted(clock, pauseMs, signal)
      if (signal.aborted) return
      if (isSettled(source, readTo)) break
      pauseMs = config.source.pollMs
    }
    await refreshOffsets?.()
    this.#setAside = []
    this.#onSetAside(this.#setAside)
  }

  async #reportMissing(found: { readonly kind: 'empty' | 'missing'; readonly what?: 'blob' | 'container' }) {
    const { reader, follow } = this.#context
    const why =
      found.what === undefined
        ? 'The blob is empty, or so short that its format does not show yet.'
        : await explainMissing(reader, this.#memory.name, found.what)
    this.#log.warn(
      { container: reader.container, blob: this.#memory.name, why },
      follow ? 'there is nothing to read yet: waiting for it' : 'there is nothing to read',
    )
  }
}
