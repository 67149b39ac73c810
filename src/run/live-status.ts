import { rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { StatusFile } from '../offsets/status-file.ts'
import type { Pace } from './pace.ts'
import type { SupervisedPipeline } from './supervised-pipeline.ts'

const schema = z.object({
  pid: z.number(),
  atMs: z.number(),
  isRunning: z.boolean(),
  phase: z.enum(['backfill', 'following']),
  percent: z.number().optional(),
  leftSeconds: z.number().optional(),
  bytesPerSecond: z.number(),
  rowsPerSecond: z.number(),
  rows: z.number(),
  rejected: z.number(),
  bytes: z.number(),
  lagBytes: z.number(),
  lanes: z.number(),
  setAside: z.number(),
  isHeld: z.boolean(),
  landedAtMs: z.number().optional(),
  tableVersion: z.number().optional(),
  failure: z.string().optional(),
  blobs: z.array(z.object({ blob: z.string(), offset: z.number(), bytes: z.number() })),
})

/** The state of a running pipeline, for `tailrace top` of another process. */
export type LiveStatus = Readonly<z.infer<typeof schema>>

/** Blobs that are named, those with the most unread bytes. */
const maxBlobs = 10

/** `<state>/<pipeline>.live.json`, which a running process replaces every second and removes at its end. */
export class LiveStatusFile extends StatusFile<LiveStatus> {
  constructor(stateDirectory: string, pipeline: string) {
    super(join(stateDirectory, `${pipeline}.live.json`), (json) => schema.parse(json))
  }

  /** Replaces the content without waiting for the disk: after a power cut, nobody needs it. */
  async replace(content: LiveStatus): Promise<void> {
    const fresh = `${this.path}.new`
    await writeFile(fresh, JSON.stringify(content))
    await rename(fresh, this.path)
  }

  async remove(): Promise<void> {
    await rm(this.path, { force: true })
  }
}

export function liveStatus(pipeline: SupervisedPipeline, pace: Pace, atMs: number): LiveStatus {
  const { counters, failure, lastLanded, setAside, lagBytes, laneCount, isRunning, isHeld } = pipeline
  return {
    pid: process.pid,
    atMs,
    isRunning,
    ...pace,
    rows: counters.rows,
    rejected: counters.rejected,
    bytes: counters.bytes,
    lagBytes,
    lanes: laneCount,
    setAside: setAside.length,
    isHeld,
    landedAtMs: lastLanded?.atMs,
    tableVersion: lastLanded?.tableVersion,
    failure: failure && `${failure.code}: ${failure.reason}`,
    blobs: [...pipeline.blobsBehind(maxBlobs)],
  }
}
