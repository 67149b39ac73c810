import picomatch from 'picomatch'
import { isOfServers } from './azure-monitor-layout.ts'

/**
 * Which blobs of a container: a blob name; a prefix ending in `/`; a pattern, which holds `*`, `?` or `{`; or the hours
 * that Azure Monitor writes for PostgreSQL servers. Those are the server of a resource id, all servers of a resource group or
 * a subscription by its id, all of the container by `*`, or several of these. A text that begins with `/subscriptions/` is
 * such an id.
 */
export type BlobsConfig = string | { readonly azureMonitor: string | readonly string[] }

/** Every blob under a prefix whose name matches. */
export interface BlobsUnder {
  readonly kind: 'under'
  /** The prefix of the listing: the one of the config, or the beginning of the pattern. May be empty. */
  readonly prefix: string
  /** As written in the config, for messages. */
  readonly written: string
  readonly matches: (name: string) => boolean
}

/** The hourly blobs that Azure Monitor writes for servers. */
export interface AzureMonitorBlobs {
  readonly kind: 'azure-monitor'
  /** Of servers, resource groups and subscriptions, in any case, without a slash at the end; `*` for all of the container. */
  readonly ids: readonly string[]
}

/** The parsed `source.blobs`. A single blob is read without the permission to list. */
export type BlobSelection = { readonly kind: 'one'; readonly name: string } | BlobsUnder | AzureMonitorBlobs

/**
 * Reads a checked `source.blobs`: a blob name, a prefix ending in `/`, a pattern, or a server of Azure Monitor.
 *
 * A pattern that ends in `/` selects everything under the folders that it matches, as a prefix does.
 */
export function selectionOf(blobs: BlobsConfig): BlobSelection {
  if (typeof blobs !== 'string') return { kind: 'azure-monitor', ids: [blobs.azureMonitor].flat() }
  if (!isPattern(blobs)) return plain(blobs, blobs)
  const { base, isWhole } = patternBase(blobs)
  if (isWhole) return plain(base, blobs)
  const matches = picomatch(matcherPattern(blobs.endsWith('/') ? `${blobs}**` : blobs), {
    dot: true,
    // The fast paths read `*.*` differently: `a.` would not match.
    fastpaths: false,
    nocase: false,
    nonegate: true,
    noextglob: true,
    // A blob may be named `pg/`, and `pg/*` does not mean it.
    strictSlashes: true,
    // Otherwise the result depends on the operating system.
    windows: false,
  })
  return { kind: 'under', prefix: base, written: blobs, matches: (name) => matches(name) }
}

function plain(name: string, written: string): BlobSelection {
  if (!name.endsWith('/')) return { kind: 'one', name }
  return { kind: 'under', prefix: name, written, matches: () => true }
}

/** Marks a string as a pattern; a string without them is a name or a prefix. */
const wildcard = /[*?{]/

/** Special to the matcher, but ordinary in blob names: inside a pattern they match themselves. */
const foreign = /[()[\]|!+@^$"]/

/** @returns whether `text` is a pattern: it contains `*`, `?` or `{`, even behind a backslash */
export function isPattern(text: string): boolean {
  return wildcard.test(text)
}

/** @returns the one blob that a config names; undefined when it may be several */
export function fixedBlobOf(blobs: BlobsConfig): string | undefined {
  return typeof blobs === 'string' && !blobs.endsWith('/') && !isPattern(blobs) ? blobs : undefined
}

/** The beginning of a pattern up to its first wildcard, without its backslashes. */
export interface PatternBase {
  readonly base: string
  /** Whether the pattern has no wildcard but those behind a backslash. */
  readonly isWhole: boolean
}

/** Reads a pattern up to its first wildcard. */
function patternBase(pattern: string): PatternBase {
  let base = ''
  for (const { text, escaped } of characters(pattern)) {
    if (!escaped && wildcard.test(text)) return { base, isWhole: false }
    base += text
  }
  return { base, isWhole: true }
}

/** @returns the mistake in a pattern, as the end of a sentence; undefined for a valid one */
export function patternMistake(pattern: string): string | undefined {
  if (/(?:^|[^\\])(?:\\\\)*\\$/.test(pattern)) return 'expected a character behind the last backslash'
  let open = 0
  for (const { text, escaped } of characters(pattern)) {
    if (escaped) continue
    if (text === '{') open += 1
    if (text === '}') open -= 1
    if (open < 0) break
  }
  return open === 0 ? undefined : 'expected a } for every {, or a backslash before it'
}

/**
 * Translates a pattern for the matcher: of its special characters only `*`, `?`, `{`, `,` and `}` keep their meaning, so
 * that `pg (old)/*.json` matches blobs under `pg (old)/`.
 */
function matcherPattern(pattern: string): string {
  let text = ''
  for (const one of characters(pattern)) {
    // The matcher drops a leading `./`, which is an ordinary part of a blob's name.
    const isForeign = foreign.test(one.text) || (one.text === '.' && text === '')
    text += one.escaped || isForeign ? `\\${one.text}` : one.text
  }
  return text
}

function* characters(pattern: string): Generator<{ readonly text: string; readonly escaped: boolean }> {
  for (let index = 0; index < pattern.length; index += 1) {
    const escaped = pattern[index] === '\\' && index + 1 < pattern.length
    if (escaped) index += 1
    yield { text: pattern.charAt(index), escaped }
  }
}

/** @returns a test whether `<container>/<blob name>` belongs to a source */
export function blobTest({
  container,
  blobs,
}: {
  readonly container: string
  readonly blobs: BlobsConfig
}): (blob: string) => boolean {
  const selection = selectionOf(blobs)
  const root = `${container}/`
  const isSelected = (name: string): boolean => {
    switch (selection.kind) {
      case 'one':
        return name === selection.name
      case 'under':
        return name.startsWith(selection.prefix) && selection.matches(name)
      case 'azure-monitor':
        return selection.ids.some((id) => isOfServers(name, id))
    }
  }
  return (blob) => blob.startsWith(root) && isSelected(blob.slice(root.length))
}
