import type { Logger } from '../logger.ts'
import { explainMissing } from '../sources/explain-missing.ts'
import type { ColdStart } from '../sources/identify-blob.ts'
import { longerPause } from '../sources/idle-pause.ts'
import { type BlobMemory, type LaneContext, LaneRunner } from './lane-runner.ts'
import type { LaneSchedule } from './lane-schedule.ts'

/** One blob by its name: it has one lane after the other, and is waited for when it is not there. */
export class SingleLane implements LaneSchedule {
  readonly setAside = []
  #context: LaneContext
  #log: Logger
  #runner: LaneRunner
  #memory: BlobMemory
  /** `latest` is for what is there when a pipeline begins its life; what comes later is wanted whole. */
  #coldStart: ColdStart

  constructor(blobName: string, context: LaneContext) {
    this.#context = context
    this.#log = context.logger
    this.#runner = new LaneRunner(context)
    this.#memory = { name: blobName, seenBytes: 0 }
    this.#coldStart = context.isFirstRun ? context.config.source.coldStart : 'earliest'
  }

  get laneCount(): number {
    return this.#runner.laneOf(this.#memory.name) === undefined ? 0 : 1
  }

  get lagBytes(): number {
    const { name, next, seenBytes } = this.#memory
    const lane = this.#runner.laneOf(name)
    const generation = lane?.generation ?? next?.generation
    const landed = this.#context
      .landedOf(`${this.#context.reader.container}/${name}`)
      .find((known) => known.generation === generation)
    return Math.max(0, (lane?.totalBytes ?? seenBytes) - (landed?.offset ?? 0))
  }

  noteMarks(): void {
    this.#runner.noteMarks()
  }

  stop(): void {
    this.#runner.stop()
  }

  async run(): Promise<void> {
    const { follow, clock, config } = this.#context
    const { signal } = this.#runner
    const { pollMs, maxPollMs } = config.source
    let pauseMs = pollMs
    for (let isTold = false; !signal.aborted; ) {
      const opened = await this.#runner.open(this.#memory, { follow, coldStart: this.#coldStart })
      this.#coldStart = 'earliest'
      if (opened.kind === 'stopped') return
      if (opened.kind === 'lane') {
        isTold = false
        pauseMs = pollMs
        const end = await this.#runner.run(opened.lane, this.#memory)
        if (end !== 'replaced' && !(end === 'missing' && follow)) return
        if (opened.lane.hasProgressed) continue
      } else {
        if (!isTold) await this.#tellMissing(opened)
        isTold = true
        if (!follow) return
      }
      try {
        await clock.sleep(pauseMs, signal)
        pauseMs = longerPause(pauseMs, maxPollMs)
      } catch (error) {
        if (!signal.aborted) throw error
      }
    }
  }

  async #tellMissing(found: { readonly kind: 'empty' | 'missing'; readonly what?: 'blob' | 'container' }) {
    const { reader, follow } = this.#context
    const why =
      found.what === undefined
        ? 'The blob is empty.'
        : await explainMissing(reader, this.#memory.name, found.what)
    this.#log.warn(
      { container: reader.container, blob: this.#memory.name, why },
      follow ? 'there is nothing to read yet: waiting for it' : 'there is nothing to read',
    )
  }
}
