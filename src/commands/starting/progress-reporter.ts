import { defaultPrices } from '../../config/schema.ts'
import { LiveStatusFile, liveStatus } from '../../run/live-status.ts'
import { PaceMeter } from '../../run/pace.ts'
import { describeProgress } from '../../run/progress.ts'
import type { SupervisedPipeline } from '../../run/supervised-pipeline.ts'
import type { CommandContext } from '../command.ts'

/** The state for other processes is written with every second report. */
const writeEvery = 2

/** The part of `Tailrace` that is reported. */
interface RunningPipelines {
  readonly pipelines: readonly SupervisedPipeline[]
}

/** Shows the progress of a run on a terminal, and writes it for `tailrace top`. */
export class ProgressReporter {
  readonly #context: CommandContext
  readonly #run: RunningPipelines
  readonly #ends: boolean
  /** By pipeline. A reload of the config adds and removes pipelines. */
  readonly #members = new Map<string, { readonly meter: PaceMeter; readonly file: LiveStatusFile }>()
  #writing: Promise<unknown> = Promise.resolve()
  #isWriting = false
  #reports = 0
  readonly #startedAtMs: number

  /** @param ends whether the run ends by itself */
  constructor(context: CommandContext, run: RunningPipelines, ends: boolean) {
    this.#context = context
    this.#run = run
    this.#ends = ends
    this.#startedAtMs = context.clock.now()
  }

  report(): void {
    const { clock, errorOutput } = this.#context
    const atMs = clock.now()
    const { pipelines } = this.#run
    const prices = this.#context.config.metrics?.prices ?? defaultPrices
    const status = { atMs, startedAtMs: this.#startedAtMs, prices }
    const paced = pipelines.map((pipeline) => {
      const { counters, lagBytes } = pipeline
      const { meter, file } = this.#memberOf(pipeline.name)
      const { bytes, rows } = counters
      const pace = meter.note({ atMs, bytes, rows, lagBytes })
      return { pipeline, file, pace, line: describeProgress(pipeline.name, { bytes, lagBytes }, pace) }
    })
    errorOutput.status(paced.map(({ line }) => line).join('   '))
    this.#reports += 1
    if (this.#isWriting || this.#reports % writeEvery !== 0) return
    this.#isWriting = true
    // A failure, such as a full disk, loses nothing that a run needs.
    const writes = [
      ...paced.map(({ pipeline, file, pace }) => file.replace(liveStatus(pipeline, pace, status))),
      ...this.#removed(pipelines.map(({ name }) => name)).map((file) => file.remove()),
    ]
    this.#writing = Promise.allSettled(writes).then(() => {
      this.#isWriting = false
    })
  }

  async close(): Promise<void> {
    await this.#writing
    await Promise.allSettled([...this.#members.values()].map(({ file }) => file.remove()))
  }

  #memberOf(name: string) {
    const known = this.#members.get(name)
    if (known !== undefined) return known
    const { stateDirectory } = this.#context.config
    const member = { meter: new PaceMeter(this.#ends), file: new LiveStatusFile(stateDirectory, name) }
    this.#members.set(name, member)
    return member
  }

  /** Forgets pipelines that are not there any more. @returns their files */
  #removed(names: readonly string[]): readonly LiveStatusFile[] {
    const gone = [...this.#members].filter(([name]) => !names.includes(name))
    for (const [name] of gone) this.#members.delete(name)
    return gone.map(([, { file }]) => file)
  }
}
