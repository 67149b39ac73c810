import { join } from 'node:path'
import type { PipelineCounters } from '../src/run/landing-log.ts'
import type { RequestCounts } from '../src/sources/readers/counted-reader.ts'
import { type Command, type Measurement, plainNodeCommand } from './measured-process.ts'

/** The command as a user gives it. */
export function tailraceCommand(args: readonly string[], env: Command['env'] = {}): Command {
  return plainNodeCommand('bin/tailrace.js', args, { LOG_LEVEL: 'warn', ...env })
}

/** `tailrace start --once` with the shipped config: its tables and state are in `directory`. */
export function landCommand(
  connectionString: string,
  options: {
    readonly directory: string
    /** Blobs of the primary's pipeline. */
    readonly blobs: string
    /** Blobs of the replica's pipeline. Default: no such pipeline. */
    readonly replicaBlobs?: string | undefined
    readonly coldStart?: 'earliest' | 'latest' | undefined
  },
): Command {
  return tailraceCommand(['start', '--once'], shippedConfig(connectionString, options))
}

/** The environment of the shipped config. */
export function shippedConfig(
  connectionString: string,
  { directory, blobs, replicaBlobs, coldStart }: Parameters<typeof landCommand>[1],
): Readonly<Record<string, string | undefined>> {
  return {
    AZURE_STORAGE_CONNECTION_STRING: connectionString,
    TAILRACE_PRIMARY: blobs,
    TAILRACE_REPLICA: replicaBlobs,
    TAILRACE_CONTAINER: undefined,
    TAILRACE_COLD_START: coldStart,
    TAILRACE_START_TIME: undefined,
    TAILRACE_LAKEHOUSE: join(directory, 'lakehouse'),
    TAILRACE_STATE: join(directory, 'state'),
  }
}

/** The summary of a run's pipeline. */
export type TailraceSummary = Pick<PipelineCounters, 'rows'> & {
  readonly requests: RequestCounts
  /** Blobs that have landed, at least in part. */
  readonly blobs: number
}

/** Reads the summaries that `start --once` prints, by pipeline. */
export function summariesOf({ stdout }: Measurement): Readonly<Record<string, TailraceSummary>> {
  return (JSON.parse(stdout) as { pipelines: Record<string, TailraceSummary> }).pipelines
}

/** Reads the summary of the primary's pipeline. */
export function tailraceSummary(measured: Measurement): TailraceSummary {
  return summariesOf(measured).primary!
}
