import { Readable, type Transform, Writable } from 'node:stream'
import { pipeline as connect } from 'node:stream/promises'
import type { Batch, Span } from '../records.ts'
import { Batcher } from '../streams/batcher.ts'
import { LineSplitter } from '../streams/line-splitter.ts'
import { RecordValidator } from '../streams/record-validator.ts'
import type { Staging } from '../streams/staging/staging.ts'

/**
 * Sends lines through the stages of a pipeline, as a blob that has nothing else.
 *
 * @param bytes complete lines
 * @param options.blob names the blob in the rows
 * @param options.onBatch receives the batch of all rows; called only when there is a line
 */
export async function batchLines(
  bytes: Buffer,
  {
    blob,
    staging,
    customStages = [],
    onBatch,
  }: {
    readonly blob: string
    readonly staging: Staging
    readonly customStages?: readonly Transform[] | undefined
    readonly onBatch: (batch: Batch) => Promise<void>
  },
): Promise<void> {
  const span: Span = { blob, generation: '20260101T000000Z', start: 0, end: bytes.length }
  await connect([
    Readable.from(bytes.length === 0 ? [] : [{ span, bytes }]),
    new LineSplitter(),
    new RecordValidator(),
    ...customStages,
    new Batcher({ staging }),
    new Writable({
      objectMode: true,
      write: (batch: Batch, _encoding, done) => void onBatch(batch).then(() => done(), done),
    }),
  ])
}
