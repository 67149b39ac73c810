import assert from 'node:assert/strict'
import type { Random } from '../../../doubles/seeded-random.ts'
import type { Clock } from '../../../src/clock.ts'
import type { Chunk } from '../../../src/records.ts'
import {
  AppendBlobTailer,
  type AppendBlobTailerOptions,
  type TailEnd,
} from '../../../src/sources/append-blob-tailer.ts'
import type { BlobReader } from '../../../src/sources/blob-reader.ts'
import type { Delivery } from './delivered-generations.ts'
import type { MisbehavingService } from './misbehaving-service.ts'
import { watchedContainer, watchedName } from './watched-blob.ts'

/** How the watching and the reading side take their time. */
export interface Pace {
  /** Between two looks at whether all is delivered, in milliseconds: longer than the longest pause between polls. */
  readonly lookMs: number
  /** How long the rest may take once the service behaves, in milliseconds. */
  readonly patienceMs: number
  /** The longest pause of the consumer between two chunks, in milliseconds; 0 for none. */
  readonly consumerMs: number
}

export interface FollowOptions {
  readonly service: MisbehavingService
  readonly reader: BlobReader
  readonly clock: Clock
  readonly random: Random
  readonly pace: Pace
  readonly tailer: Partial<AppendBlobTailerOptions>
}

/** Ends that the next generation's tailer follows; any other one is a mistake unless it was told to stop. */
const goesOnAfter: ReadonlySet<TailEnd | undefined> = new Set<TailEnd>(['replaced', 'missing'])
/** Looks that have to find everything delivered, so that what comes too much has time to come. */
const looksAtRest = 2
const mostTailers = 500

/** Follows the watched blob from generation to generation until the service behaves and all of the last one is read. */
export async function followWatchedBlob(options: FollowOptions): Promise<readonly Delivery[]> {
  const { service, reader, clock, random } = options
  const { consumerMs } = options.pace
  const deliveries: Delivery[] = []
  let current: { readonly tailer: AppendBlobTailer; bytes: number } | undefined
  let stopping = false
  const ended = new AbortController()
  const stopInTime = async (): Promise<void> => {
    await restOf(options, ended.signal, () => current?.bytes ?? 0)
    stopping = true
    current?.tailer.stop()
  }
  const watching = stopInTime().catch((error: unknown) => {
    if (!ended.signal.aborted) throw error
  })
  try {
    while (!stopping) {
      assert.ok(deliveries.length < mostTailers, `${mostTailers} tailers and no end`)
      const tailer = new AppendBlobTailer({ reader, blobName: watchedName, clock, ...options.tailer })
      const reading = { tailer, bytes: 0 }
      current = reading
      const parts: Buffer[] = []
      let generation: string | undefined
      for await (const { span, bytes } of tailer as AsyncIterable<Chunk>) {
        generation ??= span.generation
        assert.deepEqual(span, {
          blob: `${watchedContainer}/${watchedName}`,
          generation,
          start: reading.bytes,
          end: reading.bytes + bytes.length,
        })
        parts.push(bytes)
        reading.bytes = span.end
        if (consumerMs > 0 && random.next() < 0.2) await clock.sleep(random.between(1, consumerMs))
      }
      deliveries.push({ generation, bytes: Buffer.concat(parts) })
      const why = tailer.endedBy
      service.journal.push(`a tailer of ${generation} ended at ${reading.bytes}: ${why}`)
      assert.ok(stopping || goesOnAfter.has(why), `a tailer ended by ${why}`)
    }
  } finally {
    ended.abort()
    await watching
  }
  return deliveries
}

/** Resolves when the service behaves and everything was delivered for a while, or the patience is at its end. */
async function restOf(
  { service, clock, random, pace: { lookMs, patienceMs } }: FollowOptions,
  signal: AbortSignal,
  deliveredBytes: () => number,
): Promise<void> {
  const startMs = clock.now()
  while (!service.calm && clock.now() < startMs + patienceMs) await clock.sleep(lookMs, signal)
  service.calmDown()
  if (random.next() < 0.7) service.journal.push(`last: ${service.watched.happen('append')}`)
  const calmMs = clock.now()
  for (let atRest = 0; atRest < looksAtRest && clock.now() < calmMs + patienceMs; ) {
    await clock.sleep(lookMs, signal)
    atRest = deliveredBytes() === service.watched.content.length ? atRest + 1 : 0
  }
}
