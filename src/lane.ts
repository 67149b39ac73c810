import type { Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Clock } from './clock.ts'
import type { Logger } from './logger.ts'
import type { ResolvedPipeline } from './resolve-config.ts'
import type { RetryPolicy } from './retry.ts'
import { AppendBlobTailer, type TailEnd } from './sources/append-blob-tailer.ts'
import type { BlobReader } from './sources/blob-reader.ts'
import { FunctionTransform } from './streams/function-transform.ts'
import { LineSplitter } from './streams/line-splitter.ts'
import type { CustomTransform, RecordTransform } from './streams/record-transform.ts'
import { RecordValidator } from './streams/record-validator.ts'
import { StreamTransform } from './streams/stream-transform.ts'

export interface LaneOptions {
  readonly pipelineName: string
  readonly config: ResolvedPipeline
  readonly reader: BlobReader
  readonly blobName: string
  readonly generation: string
  readonly offset: number
  readonly alignToLine: boolean
  readonly follow: boolean
  /** Read no byte from here on. */
  readonly endOffset?: number
  /** How long a read that fails for now is repeated. Default: as long as it takes. */
  readonly retry?: Partial<RetryPolicy>
  readonly clock: Clock
  readonly logger: Logger
}

/** One blob's stages, from the tailer to the last custom transform. */
export class Lane {
  readonly blobName: string
  readonly generation: string
  #tailer: AppendBlobTailer
  #splitter: LineSplitter
  #options: LaneOptions

  constructor(options: LaneOptions) {
    const {
      config,
      reader,
      blobName,
      generation,
      offset,
      alignToLine,
      follow,
      endOffset,
      retry,
      clock,
      logger,
    } = options
    this.blobName = blobName
    this.generation = generation
    this.#options = options
    this.#splitter = new LineSplitter({ maxLineBytes: config.source.maxLineBytes })
    this.#tailer = new AppendBlobTailer({
      reader,
      blobName,
      generation,
      offset,
      alignToLine,
      follow,
      ...(endOffset === undefined ? {} : { endOffset }),
      ...(retry === undefined ? {} : { retry }),
      pollMs: config.source.pollMs,
      rangeBytes: config.source.rangeBytes,
      clock,
      logger,
    })
  }

  /** The blob's length as last seen, in bytes. */
  get totalBytes(): number {
    return this.#tailer.totalBytes
  }

  /** Whether it waits for appends at the blob's end. */
  get follows(): boolean {
    return this.#options.follow
  }

  /** The first byte that has not been read. */
  get readOffset(): number {
    return this.#tailer.offset
  }

  /** Where the next line begins: what a later lane of this blob starts from. */
  get nextOffset(): number {
    return this.#splitter.nextOffset ?? this.#options.offset
  }

  /** Whether `nextOffset` may still lie inside a line, because no line start has been found yet. */
  get stillAligning(): boolean {
    return this.#options.alignToLine && this.#splitter.nextOffset === undefined
  }

  /** Runs until the blob's end or a stop; every complete line that was read has then been taken by `inlet`. */
  async run(inlet: Writable): Promise<TailEnd> {
    const { config, pipelineName } = this.#options
    await pipeline([
      this.#tailer,
      this.#splitter,
      new RecordValidator(),
      ...transformStages(config.transforms, pipelineName),
      inlet,
    ])
    return this.#tailer.endedBy ?? 'end'
  }

  /** Stops reading; `run` resolves when what was read has been handed on. */
  stop(): void {
    this.#tailer.stop()
  }
}

/** Consecutive functions become one stage, so that they share the parse of a record. */
function transformStages(
  transforms: readonly CustomTransform[],
  pipelineName: string,
): (FunctionTransform | StreamTransform)[] {
  const stages: (FunctionTransform | StreamTransform)[] = []
  let functions: RecordTransform[] = []
  const closeFunctions = (): void => {
    if (functions.length > 0) stages.push(new FunctionTransform(functions, pipelineName))
    functions = []
  }
  for (const transform of transforms) {
    if (typeof transform === 'function') {
      functions.push(transform)
      continue
    }
    closeFunctions()
    stages.push(new StreamTransform(transform, pipelineName))
  }
  closeFunctions()
  return stages
}
