import { isTailraceError } from '../../errors.ts'
import { type ArchivedOffset, maxSoughtBlobs } from '../../offsets/archived-offsets.ts'
import { compareGenerations, lastCreatedAt, type Span } from '../../records.ts'
import { retryLog } from '../../reporting/retry-log.ts'
import type { ListedBlob } from '../../sources/blob-reader.ts'
import type { BlobDiscovery } from '../../sources/discovery/blob-discovery.ts'
import type { LaneContext } from './lane-context.ts'

export interface ScanRequest {
  /** Leave nothing out, whether or not it is due. */
  readonly everything: boolean
  /** Whether a lane polls a blob. */
  readonly isPolled: (blobName: string) => boolean
  readonly signal: AbortSignal
  /** Called for each blob that is to be read; `landedBytes` is undefined when nothing of its generation has landed. */
  readonly onBlob: (listed: ListedBlob, landedBytes: number | undefined) => void
}

/** Scans the source's listing, and records where the blobs begin that a cold start leaves out. */
export class BlobScanner {
  #context: LaneContext
  #discovery: BlobDiscovery
  #isFirst = true
  #hasReportedMissing = false
  #hasFoundBlobs = false

  constructor(context: LaneContext, discovery: BlobDiscovery) {
    this.#context = context
    this.#discovery = discovery
  }

  /** Whether any scan has listed a blob, be it empty or landed before. */
  get hasFoundBlobs(): boolean {
    return this.#hasFoundBlobs
  }

  /**
   * Lists the blobs once.
   *
   * @returns whether the scan came to its end; false after a stop, or while the container does not exist
   * @throws SOURCE_DENIED
   */
  async scan({ everything, isPolled, signal, onBlob }: ScanRequest): Promise<boolean> {
    const { config, reader, isOwn = () => true, clock, logger } = this.#context
    const startsAtEnds = this.#isFirst && this.#context.isFirstRun && config.source.coldStart === 'latest'
    const starts: Span[] = []
    let sought: ListedBlob[] = []
    const seek = async (): Promise<void> => {
      const some = sought
      sought = []
      const offsets = await this.#archivedBytes(some)
      for (const listed of some) onBlob(listed, offsets.get(listed.name))
    }
    try {
      const onRetry = retryLog(logger, 'listing failed', { blobs: this.#discovery.described })
      const retrying = { signal, clock, onRetry }
      for await (const listed of this.#discovery.scan(clock.now(), retrying, {
        everything,
        isPolled,
      })) {
        this.#hasFoundBlobs = true
        // The first shard to start records the ends for all: one that starts later must not skip what came in between.
        if (startsAtEnds) {
          if (listed.bytes > 0) starts.push(this.#startAtEnd(listed))
        } else if (isOwn(listed.name)) {
          const landedBytes = this.#landedBytes(listed)
          if (landedBytes === undefined && this.#mayBeArchived(listed)) sought.push(listed)
          else onBlob(listed, landedBytes)
          if (sought.length === maxSoughtBlobs) await seek()
        }
      }
      if (sought.length > 0) await seek()
    } catch (error) {
      if (signal.aborted) return false
      // Azure Monitor creates the container with the first record, so its absence is a wait, not a failure.
      if (!isTailraceError(error, 'SOURCE_MISSING')) throw error
      if (!this.#hasReportedMissing)
        logger.warn({ err: error, container: reader.container }, 'the container does not exist yet')
      this.#hasReportedMissing = true
      this.#isFirst = false
      return false
    }
    if (starts.length > 0) await this.#context.recordStarts(starts)
    this.#isFirst = false
    return true
  }

  #startAtEnd({ name, bytes, createdAt }: ListedBlob): Span {
    const blob = `${this.#context.reader.container}/${name}`
    return { blob, generation: createdAt, start: bytes, end: bytes }
  }

  #mayBeArchived({ name, bytes, createdAt }: ListedBlob): boolean {
    const { archive, reader } = this.#context
    const source = { blob: `${reader.container}/${name}`, generation: createdAt }
    return bytes > 0 && archive?.mayHave(source) === true
  }

  /** As `#landedBytes`, by name, of the blobs whose listed generation is in the archive. */
  async #archivedBytes(listed: readonly ListedBlob[]): Promise<ReadonlyMap<string, number>> {
    const { archive, reader } = this.#context
    const blobOf = ({ name }: ListedBlob): string => `${reader.container}/${name}`
    const newest = new Map<string, ArchivedOffset>()
    for (const one of (await archive?.find(listed.map(blobOf))) ?? []) {
      const known = newest.get(one.blob)
      if (known === undefined || compareGenerations(known, one) < 0) newest.set(one.blob, one)
    }
    const bytes = new Map<string, number>()
    for (const blob of listed) {
      const found = newest.get(blobOf(blob))
      const instant = found && lastCreatedAt(found, found.mark)
      if (found !== undefined && instant === blob.createdAt) bytes.set(blob.name, found.offset)
    }
    return bytes
  }

  /** A listing shows the creation instant alone, so the generation is taken for the newest one of that instant. */
  #landedBytes({ name, createdAt }: ListedBlob): number | undefined {
    const { landedOf, markOf, reader } = this.#context
    const newest = landedOf(`${reader.container}/${name}`).at(-1)
    if (newest === undefined) return undefined
    const instant = lastCreatedAt(newest, markOf(newest))
    return instant === createdAt ? newest.offset : undefined
  }
}
