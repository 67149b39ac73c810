import { type RetryOptions, retry } from '../retry.ts'
import type { BlobReader } from './blob-reader.ts'

/** A reader that repeats reads which failed for now: for a command, which has no tailer to do it. */
export function retryingReader(reader: BlobReader, options: RetryOptions): BlobReader {
  return {
    container: reader.container,
    read: (blobName, request) => retry(() => reader.read(blobName, request), options),
    listPage: (request) => retry(() => reader.listPage(request), options),
  }
}
