import { Writable } from 'node:stream'
import { pipeline as connect } from 'node:stream/promises'
import type { Batch } from '../records.ts'
import type { EncodedBatch } from '../sinks/table-committer.ts'
import { Batcher } from '../streams/batcher.ts'
import { LaneMerge } from '../streams/lane-merge.ts'
import type { StageResources } from './resources.ts'

export interface EncodeBlocksOptions extends Pick<StageResources, 'staging' | 'encoder'> {
  readonly batch: { readonly maxBytes: number; readonly maxRows: number }
  /** Called with each batch that has rows, in order; the next one is encoded when it resolves. */
  readonly onEncoded: (encoded: EncodedBatch) => Promise<void> | void
}

/**
 * Encodes everything that lanes hand on, without landing it.
 *
 * @param read runs lanes, each with an inlet of the stream that it is given
 */
export async function encodeBlocks(
  read: (merge: LaneMerge) => Promise<void>,
  { staging, encoder, batch, onEncoded }: EncodeBlocksOptions,
): Promise<void> {
  const merge = new LaneMerge()
  const encode = async (sealed: Batch): Promise<void> => {
    if (sealed.rows > 0) await onEncoded(await encoder.encode(sealed))
    await staging.remove(sealed.spoolPath)
  }
  const collect = new Writable({
    objectMode: true,
    highWaterMark: 1,
    write: (sealed: Batch, _encoding, done) => {
      encode(sealed).then(() => done(), done)
    },
  })
  const reading = read(merge).then(
    () => merge.close(),
    (error: Error) => {
      merge.destroy(error)
      throw error
    },
  )
  const { maxBytes, maxRows } = batch
  await Promise.all([connect([merge, new Batcher({ staging, maxBytes, maxRows }), collect]), reading])
}
