import { isTailraceError } from '../../errors.ts'
import type { BlobRead, BlobReader } from '../blob-reader.ts'

/**
 * The result of a request. The first four are billed as reads of one blob.
 *
 * - `read`: bytes arrived (206)
 * - `unchanged`: nothing new since the ETag of the last read (304)
 * - `empty`: no byte at the offset (416)
 * - `missing`: the blob, or its container, does not exist (404)
 * - `list`: one page of a listing
 * - `failed`: no usable answer, or ended by a stop
 */
export const requestKinds = ['read', 'unchanged', 'empty', 'missing', 'list', 'failed'] as const
export type RequestKind = (typeof requestKinds)[number]

/** The number of requests of each kind, and the bytes of blobs in their answers. */
export type RequestCounts = Readonly<Record<RequestKind, number>> & { readonly bytes: number }

/** Counts the requests of one pipeline. */
export class RequestCounter {
  #counts: RequestCounts = { read: 0, unchanged: 0, empty: 0, missing: 0, list: 0, failed: 0, bytes: 0 }

  /** A snapshot: it does not change when more is counted. */
  get counts(): RequestCounts {
    return this.#counts
  }

  /** @param bytes bytes of a blob in the answer */
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

/** A reader that counts its requests, and passes answers and errors unchanged. */
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
