import { join } from 'node:path'
import type { PipelineCounters } from '../src/run/landing-log.ts'
import type { RequestCounts } from '../src/sources/readers/counted-reader.ts'
import { type Command, type Measurement, nodeCommand } from './measured-process.ts'

/** `tailrace start --once` as a user gives it, with the shipped config: its table and state are in `directory`. */
export function tailraceCommand(
  connectionString: string,
  { blobs, directory, coldStart }: { blobs: string; directory: string; coldStart?: 'earliest' | 'latest' },
): Command {
  return nodeCommand('src/cli.ts', ['start', '--once'], {
    AZURE_STORAGE_CONNECTION_STRING: connectionString,
    TAILRACE_PRIMARY: blobs,
    TAILRACE_REPLICA: undefined,
    TAILRACE_CONTAINER: undefined,
    TAILRACE_COLD_START: coldStart,
    TAILRACE_START_TIME: undefined,
    TAILRACE_LAKEHOUSE: join(directory, 'lakehouse'),
    TAILRACE_STATE: join(directory, 'state'),
    LOG_LEVEL: 'warn',
  })
}

/** The summary of the run's only pipeline. */
export type TailraceSummary = Pick<PipelineCounters, 'rows'> & {
  readonly requests: RequestCounts
  /** Blobs that have landed, at least in part. */
  readonly blobs: number
}

/** Reads the summary that `tailraceCommand` prints. */
export function tailraceSummary({ stdout }: Measurement): TailraceSummary {
  const { pipelines } = JSON.parse(stdout) as { pipelines: Record<string, TailraceSummary> }
  return pipelines.primary!
}
