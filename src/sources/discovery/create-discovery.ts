import type { BlobReader } from '../blob-reader.ts'
import { AzureMonitorDiscovery } from './azure-monitor-discovery.ts'
import type { BlobDiscovery } from './blob-discovery.ts'
import type { AzureMonitorBlobs, BlobsUnder } from './blob-selection.ts'
import { PrefixDiscovery } from './prefix-discovery.ts'
import type { SkippedNames } from './server-folder.ts'

export interface DiscoveryOptions {
  readonly reader: BlobReader
  /** Older blobs are left out, in milliseconds since the epoch. */
  readonly startTimeMs: number | undefined
  /** How long a past day of Azure Monitor is listed, in milliseconds. */
  readonly watchMs: number
  /** Pause between two listings of a day of Azure Monitor, in milliseconds. */
  readonly listMs: number
  /** Called once with the names under a resource of Azure Monitor that are not those of hourly logs. */
  readonly onSkipped?: ((skipped: SkippedNames) => void) | undefined
}

/** Creates the discovery of a selection. A single blob has none: its reader may not have the permission to list. */
export function createDiscovery(
  selection: BlobsUnder | AzureMonitorBlobs,
  options: DiscoveryOptions,
): BlobDiscovery {
  return selection.kind === 'under'
    ? new PrefixDiscovery(selection, options)
    : new AzureMonitorDiscovery(selection.ids, options)
}
