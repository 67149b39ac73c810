import { type RetryOptions, retry } from '../retry.ts'
import type { BlobReader, ListedBlob } from './blob-reader.ts'

/**
 * Every blob under a prefix, in name order, one page in memory at a time.
 *
 * Each page is a request of its own, so one that fails for now is repeated alone.
 *
 * @throws SOURCE_MISSING when the container does not exist, SOURCE_DENIED
 */
export async function* listBlobs(
  reader: BlobReader,
  prefix: string,
  retrying: RetryOptions,
): AsyncGenerator<ListedBlob> {
  const { signal } = retrying
  for (let marker: string | undefined; ; ) {
    const page = await retry(
      () =>
        reader.listPage({
          prefix,
          ...(marker === undefined ? {} : { marker }),
          ...(signal === undefined ? {} : { signal }),
        }),
      retrying,
    )
    yield* page.blobs
    if (page.next === undefined) return
    marker = page.next
  }
}
