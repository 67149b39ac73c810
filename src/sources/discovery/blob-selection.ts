import picomatch from 'picomatch'
import type { BlobsConfig } from '../../config.ts'
import { isPattern, matcherPattern, patternBase } from './blob-pattern.ts'

/** Every blob under a prefix whose name matches. */
export interface BlobsUnder {
  readonly kind: 'under'
  /** All that a listing can be asked for: the prefix, or what the pattern begins with. May be empty. */
  readonly prefix: string
  /** As the config has it, for messages. */
  readonly written: string
  readonly matches: (name: string) => boolean
}

/** The hourly blobs that Azure Monitor writes for one server. */
export interface AzureMonitorBlobs {
  readonly kind: 'azure-monitor'
  /** In any case, without a slash at its end. */
  readonly resourceId: string
}

/** What `source.blobs` means. Only the first kind needs no right to list. */
export type BlobSelection = { readonly kind: 'one'; readonly name: string } | BlobsUnder | AzureMonitorBlobs

/**
 * Reads a checked `source.blobs`: a blob name, a prefix ending in `/`, a pattern, or a server of Azure Monitor.
 *
 * A pattern that ends in `/` takes everything under what it matches, as a prefix does.
 */
export function selectionOf(blobs: BlobsConfig): BlobSelection {
  if (typeof blobs !== 'string') return { kind: 'azure-monitor', resourceId: blobs.azureMonitor }
  if (!isPattern(blobs)) return plain(blobs, blobs)
  const { base, isWhole } = patternBase(blobs)
  if (isWhole) return plain(base, blobs)
  const matches = picomatch(matcherPattern(blobs.endsWith('/') ? `${blobs}**` : blobs), {
    dot: true,
    // They read `*.*` in another way: `a.` would not match.
    fastpaths: false,
    nocase: false,
    nonegate: true,
    noextglob: true,
    // A blob may be named `pg/`, and `pg/*` does not mean it.
    strictSlashes: true,
    // Else the matcher goes by the machine it runs on.
    windows: false,
  })
  return { kind: 'under', prefix: base, written: blobs, matches: (name) => matches(name) }
}

function plain(name: string, written: string): BlobSelection {
  if (!name.endsWith('/')) return { kind: 'one', name }
  return { kind: 'under', prefix: name, written, matches: () => true }
}
