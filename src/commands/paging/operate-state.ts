import type { Clock } from '../../clock.ts'
import type { ResolvedConfig } from '../../config/resolved.ts'
import { type ErrorCode, errors } from '../../errors.ts'
import type {
  BlobSummary,
  LandedCommit,
  LivePipeline,
  OperateState,
  PipelineSummary,
} from '../../page/api-operate.ts'
import { isStale, type LiveStatus, LiveStatusFile } from '../../run/live-status.ts'
import { FailureFile } from '../../run/pipeline-failure.ts'

/** @returns a function that reads the state of the pipelines, as a process of the same state directory writes it */
export function operateReader(
  { pipelines, stateDirectory }: Pick<ResolvedConfig, 'pipelines' | 'stateDirectory'>,
  clock: Clock,
): () => Promise<OperateState> {
  const files = Object.entries(pipelines).map(([name, { table, sink }]) => ({
    name,
    table: Object.values(table.name).join('.'),
    sinkKind: sink.kind,
    live: new LiveStatusFile(stateDirectory, name),
    failure: new FailureFile(stateDirectory, name),
  }))
  return async () => {
    const atMs = clock.now()
    const states: PipelineSummary[] = []
    const blobs: BlobSummary[] = []
    const commits: LandedCommit[] = []
    for (const { name, table, sinkKind, live, failure: failureFile } of files) {
      const written = await live.read()
      const status = written === undefined || isStale(written, atMs) ? undefined : written
      const failure = await failureFile.read()
      states.push({
        name,
        table,
        sinkKind,
        state: stateOf(status, failure !== undefined),
        live: status && livePipeline(status),
        failure: failure && {
          code: failure.code,
          reason: failure.reason,
          hint: errors[failure.code as ErrorCode]?.hint ?? errors.UNEXPECTED.hint,
        },
      })
      for (const blob of status?.blobs ?? []) blobs.push(blobSummary(name, blob))
      for (const { tableVersion, ...commit } of status?.commits ?? [])
        commits.push({ pipeline: name, tableVersion, ...commit })
    }
    commits.sort((a, b) => a.atMs - b.atMs)
    return { atMs, pipelines: states, blobs, commits }
  }
}

function stateOf(status: LiveStatus | undefined, hasFailed: boolean): PipelineSummary['state'] {
  if (status === undefined) return 'not running'
  if (status.isRunning) return status.phase
  return hasFailed || status.failure !== undefined ? 'failed' : 'starting'
}

function livePipeline(status: LiveStatus): LivePipeline {
  return {
    atMs: status.atMs,
    pid: status.pid,
    rowsPerSecond: status.rowsPerSecond,
    bytesPerSecond: status.bytesPerSecond,
    percent: status.percent,
    leftSeconds: status.leftSeconds,
    lagBytes: status.lagBytes,
    lagSeconds: status.lagSeconds,
    rows: status.rows,
    rejected: status.rejected,
    partial: status.partial,
    bytes: status.bytes,
    batches: status.batches,
    lastCommitMs: status.landedAtMs,
    tableVersion: status.tableVersion,
    lanes: status.lanes,
    queuedBlobs: status.queuedBlobs,
    setAsideBlobs: status.setAside,
    waitingRows: status.waitingRows,
    bufferedBytes: status.bufferedBytes,
    disk: {
      isHeld: status.isHeld,
      heldSinceMs: status.heldSinceMs,
      freeBytes: status.freeBytes,
      minFreeBytes: status.minFreeBytes,
    },
    retries: status.retries,
    failures: status.failures,
    outage: status.outage && { sinceMs: status.outage.sinceMs, reason: status.outage.reason },
    cost: { requests: status.requests, usdPerDay: status.usdPerDay },
  }
}

function blobSummary(pipeline: string, blob: LiveStatus['blobs'][number]): BlobSummary {
  return {
    pipeline,
    blob: blob.blob,
    generation: blob.generation,
    offset: blob.offset,
    bytes: blob.bytes,
    state: blob.state,
    waits: blob.reason ?? waits[blob.state],
    untilMs: blob.untilMs,
  }
}

const waits: Readonly<Record<BlobSummary['state'], string | undefined>> = {
  reading: undefined,
  queued: 'other blobs are read before it: source.maxLanes are read at once',
  quiet: 'read to its end; it is read again when it grows',
  'set aside': 'its reads fail',
  gone: 'it does not exist, or has not been written yet',
}
