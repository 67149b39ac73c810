import { isTailraceError } from '../../errors.ts'
import type { BlobRead, BlobReader } from '../blob-reader.ts'

/**
 * What a request told, in an order that tells what it is billed as: the first four are reads of one blob.
 *
 * - `read`: bytes arrived (206)
 * - `unchanged`: nothing new since the ETag of the last read (304)
 * - `empty`: no byte at the offset (416)
 * - `missing`: the blob, or its container, does not exist (404)
 * - `list`: one page of a listing
 * - `failed`: no answer to work with, or cut short by a stop
 */
export const requestKinds = ['read', 'unchanged', 'empty', 'missing', 'list', 'failed'] as const
export type RequestKind = (typeof requestKinds)[number]

/** How many requests of each kind were made, and the bytes of blobs that their answers carried. */
export type RequestCounts = Readonly<Record<RequestKind, number>> & { readonly bytes: number }

/** Counts the requests of one pipeline. */
export class RequestCounter {
  #counts: RequestCounts = { read: 0, unchanged: 0, empty: 0, missing: 0, list: 0, failed: 0, bytes: 0 }

  /** What was counted so far; it does not change when more is. */
  get counts(): RequestCounts {
    return this.#counts
  }

  /** @param bytes what the answer carried of a blob */
  note(kind: RequestKind, bytes = 0): void {
    this.#counts = { ...this.#counts, [kind]: this.#counts[kind] + 1, bytes: this.#counts.bytes + bytes }
  }
}

const kindOf = {
  bytes: 'read',
  unchanged: 'unchanged',
  'nothing-there': 'empty',
  missing: 'missing',
} as const satisfies Record<BlobRead['kind'], RequestKind>

/** A reader that counts its requests; answers and errors pass as they are. */
export function countedReader(reader: BlobReader, counter: RequestCounter): BlobReader {
  const failed = (error: unknown): never => {
    counter.note(isTailraceError(error, 'SOURCE_MISSING') ? 'missing' : 'failed')
    throw error
  }
  return {
    container: reader.container,
    read: async (blobName, request) => {
      const answer = await reader.read(blobName, request).catch(failed)
      counter.note(kindOf[answer.kind], answer.kind === 'bytes' ? answer.bytes.length : 0)
      return answer
    },
    listPage: async (request) => {
      const page = await reader.listPage(request).catch(failed)
      counter.note('list')
      return page
    },
  }
}
