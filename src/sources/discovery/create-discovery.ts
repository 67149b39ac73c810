import type { BlobReader } from '../blob-reader.ts'
import { AzureMonitorDiscovery, type SkippedNames } from './azure-monitor-discovery.ts'
import type { BlobDiscovery } from './blob-discovery.ts'
import type { AzureMonitorBlobs, BlobsUnder } from './blob-selection.ts'
import { PrefixDiscovery } from './prefix-discovery.ts'

export interface DiscoveryOptions {
  readonly reader: BlobReader
  /** What a first run leaves out lies before it, in milliseconds since the epoch. */
  readonly startTimeMs: number | undefined
  /** How long older hours of Azure Monitor stay watched, in milliseconds. */
  readonly watchMs: number
  /** Hears once of names under a resource of Azure Monitor that are no hourly blobs. */
  readonly onSkipped?: (skipped: SkippedNames) => void
}

/** The discovery of a selection. A fixed blob has none: its reader may have no right to list. */
export function createDiscovery(
  selection: BlobsUnder | AzureMonitorBlobs,
  options: DiscoveryOptions,
): BlobDiscovery {
  return selection.kind === 'under'
    ? new PrefixDiscovery(selection, options)
    : new AzureMonitorDiscovery(selection.resourceId, options)
}
