import type { SSEStreamingApi } from 'hono/streaming'
import type { Clock } from '../../clock.ts'
import type { LiveEvents, RecordFilter } from '../api.ts'
import type { OperateState } from '../api-operate.ts'
import { limited, maxQueryMs } from '../limited.ts'
import { LandedRecords } from '../logs/landed-records.ts'
import type { LogTables } from '../logs/log-tables.ts'
import { failureOf } from './failures.ts'

/** Pause between two events of one kind. */
const eventMs = 1_000

/** A client that takes an event no faster than this is gone. */
const maxWriteMs = 30_000

export interface LiveStreamOptions {
  readonly operate: () => Promise<OperateState>
  /** The records to follow; undefined: none. */
  readonly records: { readonly tables: LogTables; readonly filter: RecordFilter } | undefined
  readonly clock: Clock
  /** Ends the stream. */
  readonly signal: AbortSignal
}

/** Sends events to one client. Each is sent when the one before has been taken, so a slow client gets fewer of them. */
export async function streamLive(stream: SSEStreamingApi, options: LiveStreamOptions): Promise<void> {
  const { operate, records, clock, signal } = options
  const landed = records && new LandedRecords(records.tables, records.filter, clock)
  let hasBegun = false
  while (!signal.aborted && !stream.aborted && !stream.closed) {
    await send(stream, 'operate', await operate())
    if (landed !== undefined) {
      try {
        const fresh = await limited(clock, maxQueryMs, [signal], (ending) => landed.next(ending))
        // The first event is sent even if it is empty: the client then reads the records that landed before it.
        if (fresh.records.length > 0 || !hasBegun) await send(stream, 'records', fresh)
        hasBegun = true
      } catch (error) {
        if (signal.aborted) return
        await send(stream, 'trouble', failureOf(error).body)
      }
    }
    await clock.sleep(eventMs, signal).catch(() => {})
  }
}

async function send<Name extends keyof LiveEvents>(
  stream: SSEStreamingApi,
  event: Name,
  data: LiveEvents[Name],
): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<'late'>((resolve) => {
    timer = setTimeout(() => resolve('late'), maxWriteMs)
  })
  const written = stream.writeSSE({ event, data: JSON.stringify(data) })
  if ((await Promise.race([written, late])) === 'late') stream.abort()
  clearTimeout(timer)
}
