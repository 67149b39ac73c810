import { TailraceError } from '../../errors.ts'
import { type RetryOptions, retry } from '../../retry.ts'
import type { BlobReader, ListedBlob, ListedPage, ListRequest } from '../blob-reader.ts'

/**
 * The listings of one scan: counts their requests, holds one page at a time, and retries single pages.
 *
 * Pages of a container that changes meanwhile may repeat names of the page before; those are left out.
 */
export class CountedListing {
  /** Requests so far, retries included. */
  requests = 0
  #reader: BlobReader
  #retrying: RetryOptions
  #page = new Set<string>()
  #pageBefore = new Set<string>()

  constructor(reader: BlobReader, retrying: RetryOptions) {
    this.#reader = reader
    this.#retrying = retrying
  }

  /**
   * Every blob under a prefix, in name order.
   *
   * @throws SOURCE_MISSING when the container does not exist, SOURCE_DENIED
   */
  async *blobs(prefix: string): AsyncGenerator<ListedBlob> {
    for await (const { blobs } of this.#pages({ prefix })) {
      this.#pageBefore = this.#page
      this.#page = new Set()
      for (const blob of blobs) {
        const isRepeated = this.#page.has(blob.name) || this.#pageBefore.has(blob.name)
        this.#page.add(blob.name)
        if (!isRepeated) yield blob
      }
    }
  }

  /** The folders directly under a prefix, each ending in `/`; a folder on two pages comes twice. */
  async *folders(prefix: string): AsyncGenerator<string> {
    for await (const { folders } of this.#pages({ prefix, folders: true })) yield* folders
  }

  async *#pages(request: ListRequest): AsyncGenerator<ListedPage> {
    const { signal } = this.#retrying
    for (let marker: string | undefined; ; ) {
      const page = await retry(async () => {
        this.requests += 1
        const answer = await this.#reader.listPage({ ...request, marker, signal })
        // The answer of another request. Continuing from it would list the same page forever.
        if (marker !== undefined && answer.next === marker) throw this.#repeatedPage(request.prefix)
        return answer
      }, this.#retrying)
      yield page
      if (page.next === undefined) return
      marker = page.next
    }
  }

  #repeatedPage(prefix: string): TailraceError {
    return new TailraceError(
      'SOURCE_UNAVAILABLE',
      `The listing of ${this.#reader.container}/${prefix} returned the same page twice.`,
    )
  }
}
