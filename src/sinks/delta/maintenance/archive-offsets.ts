import type { ArchivedOffset } from '../../../offsets/archived-offsets.ts'
import type { LandedOffset } from '../../../offsets/landed-offsets.ts'
import type { BlobGeneration, GenerationMark } from '../../../records.ts'
import type { ArchiveFiles } from '../archive/archive-files.ts'
import {
  type ArchiveFile,
  archiveFolder,
  encodeManifest,
  manifestPath,
  readManifest,
} from '../archive/archive-manifest.ts'
import { lacksArchive, requireArchive } from '../archive/offset-archive.ts'
import { type CommitContext, commit, mayBeVisible } from '../log/commit.ts'
import { type LoadContext, loadState } from '../log/load.ts'
import { archiveAppId, generationOf } from '../log/offsets.ts'
import type { TableState } from '../log/state.ts'
import type { DeltaOptions } from '../options.ts'
import type { UnmarkedOffsets } from '../pipeline-offsets.ts'
import type { DeltaCommit } from '../protocol/actions.ts'
import {
  checkAppendable,
  clusteringDomain,
  hasArchiveFormat,
  withArchiveFormat,
  withoutArchiveFormat,
} from '../protocol/features.ts'
import type { DeltaStorage } from '../storage/delta-storage.ts'
import { Overtaken } from './overtaken.ts'

/** Attempts; each fails when another commit archives offsets, changes the table's rules, or adds an offset of the past. */
const maxAttempts = 5

/** Larger files are not merged: sorting them would take more memory and time than a lookup in one more file. */
const maxMergedOffsets = 1_000_000

export interface ArchiveOffsetsOptions extends CommitContext, LoadContext {
  readonly files: ArchiveFiles
  /** Offsets that have not changed for so long are archived, in milliseconds. */
  readonly unchangedMs: number
  /** With fewer of them, nothing happens. At least 1. */
  readonly minOffsets: number
  /** Archived offsets whose marks are stored once more, because the archive lacks them. Default: none. */
  readonly unmarked?: UnmarkedOffsets | undefined
  /** Called when other commits came in between in each attempt, so that nothing was archived. */
  readonly onOvertaken?: (() => void) | undefined
  /** How a generation is recognized: kept with its offset. */
  readonly markOf: (source: BlobGeneration) => GenerationMark | undefined
}

/** @returns the rules of archiving of a config; undefined when it is turned off */
export function archiveRules({
  archiveOffsets: rules,
}: Pick<DeltaOptions, 'archiveOffsets'>):
  | Pick<ArchiveOffsetsOptions, 'unchangedMs' | 'minOffsets'>
  | undefined {
  if (rules === false) return undefined
  return { unchangedMs: rules.afterDays * 86_400_000, minOffsets: rules.minOffsets }
}

/** The result of archiving offsets. */
export interface ArchiveReport {
  readonly tableVersion: number
  /** Offsets that moved into the archive. */
  readonly offsets: number
  /** Files of the archive, after files were merged. */
  readonly files: number
}

/**
 * Moves the offsets that have not changed for long into a new archive of the table, in one commit. Offsets do not change:
 * each reader finds them in the archive.
 *
 * Until the commit, its files are garbage that vacuum removes, so a process may end at any step. A clone has the format of
 * a table with an archive, and loses it first: otherwise its manifest without a commit would be that of a lost archive.
 *
 * @returns undefined when there is no table, too few offsets are old enough, release 0.1.0 left offsets by pipeline, which
 * would count again without the newer ones, or other commits come in between again and again: there is always a next time
 * @throws TABLE_UNSUPPORTED, TABLE_CORRUPT, COMMIT_CONTENDED, COMMIT_UNKNOWN
 */
export async function archiveOffsets(options: ArchiveOffsetsOptions): Promise<ArchiveReport | undefined> {
  const { storage, engine, clock, unchangedMs, minOffsets, unmarked, onOvertaken = () => {} } = options
  for (let attempt = 1; attempt <= maxAttempts; attempt += 1) {
    const state = await loadState(storage, engine, { keepFiles: false })
    if (state === undefined || state.transactions.hasFormer) return undefined
    checkAppendable(state.protocol, state.metaData, state.domains.get(clusteringDomain))
    await requireArchive(state, { storage, engine })
    const { archivedAtMs: before, landed } = state.transactions
    // Later than the one before also on a machine whose clock is behind, and another one in each attempt: it is a name. The
    // version of a Delta transaction is a whole number.
    const instantMs = Math.max(Math.floor(clock.now() - unchangedMs), before ?? 0) + attempt
    const old = [...state.transactions.committedBefore(instantMs)]
    // Of another archive they may not be: the table may have been created again.
    const again = unmarked?.instantMs === before ? unmarked : undefined
    const moved = [...old, ...(again?.offsets ?? []).filter((one) => landed.get(one) === undefined)]
    if (moved.length < minOffsets) return undefined
    if (lacksArchive(state)) {
      await resetFormat(state, options)
      continue
    }
    const earlier = before === undefined ? [] : (await readManifest(storage, before)).files
    const files = await storeFiles(moved, earlier, options)
    const stored = files
      .filter((file) => !earlier.includes(file))
      .map(({ name }) => `${archiveFolder}/${name}`)
    try {
      const manifest = encodeManifest({ files, former: before })
      if ((await storage.putIfAbsent(manifestPath(instantMs), manifest)) !== 'created') {
        // A process that was killed left one, or the reply was lost.
        if ((await storage.read(manifestPath(instantMs)))?.equals(manifest) !== true) throw new Overtaken()
      }
      stored.push(manifestPath(instantMs))
      const tableVersion = await commitArchive(state, { instantMs, offsets: old.length }, options)
      return { tableVersion, offsets: old.length, files: files.length }
    } catch (error) {
      if (!mayBeVisible(error)) await Promise.all(stored.map((path) => storage.remove(path)))
      if (!(error instanceof Overtaken)) throw error
    }
  }
  onOvertaken()
  return undefined
}

/** Stores offsets as one more file, merged with the newest files that are not larger. @returns the files, oldest first */
async function storeFiles(
  old: readonly LandedOffset[],
  earlier: readonly ArchiveFile[],
  { files, markOf, storage }: ArchiveOffsetsOptions,
): Promise<readonly ArchiveFile[]> {
  const written = await files.write(withMarks(old, markOf))
  const kept = [...earlier]
  const merged = [...written]
  for (let offsets = sumOf(written); ; ) {
    const last = kept.at(-1)
    // As in a binary counter: a file is merged a second time only when there are as many offsets again.
    if (last === undefined || last.offsets > offsets || last.offsets + offsets > maxMergedOffsets) break
    offsets += last.offsets
    merged.unshift(kept.pop()!)
  }
  // More than this at once are only in a table's first archive.
  if (merged.length === 1 || sumOf(merged) > maxMergedOffsets) return [...earlier, ...written]
  const one = await files.merge(merged)
  for (const { name } of written) await storage.remove(`${archiveFolder}/${name}`)
  return [...kept, one]
}

function sumOf(files: readonly ArchiveFile[]): number {
  return files.reduce((sum, { offsets }) => sum + offsets, 0)
}

function* withMarks(
  old: readonly LandedOffset[],
  markOf: ArchiveOffsetsOptions['markOf'],
): Iterable<ArchivedOffset> {
  for (const landed of old) yield { ...landed, mark: markOf(landed) }
}

/** Gives a clone the format of a table without an archive, unless another commit changes its rules first. */
async function resetFormat(state: TableState, context: CommitContext): Promise<void> {
  const { metaData } = state
  const configuration = withoutArchiveFormat(metaData.configuration)
  try {
    await commit(
      state,
      {
        info: {
          operation: 'SET TBLPROPERTIES',
          operationParameters: { properties: JSON.stringify(withoutArchiveFormat({})) },
          isBlindAppend: false,
        },
        actions: [{ metaData: { ...metaData, configuration } }],
        check: (_, now) => {
          if (now.metaData !== metaData || now.transactions.archivedAtMs !== undefined) throw new Overtaken()
        },
      },
      context,
    )
  } catch (error) {
    if (!(error instanceof Overtaken)) throw error
  }
}

async function commitArchive(
  state: TableState,
  { instantMs, offsets }: { readonly instantMs: number; readonly offsets: number },
  context: ArchiveOffsetsOptions & { readonly storage: DeltaStorage },
): Promise<number> {
  const { protocol, metaData } = state
  const configuration = withArchiveFormat(metaData.configuration)
  const format = hasArchiveFormat(metaData) ? [] : [{ metaData: { ...metaData, configuration } }]
  return commit(
    state,
    {
      info: {
        operation: 'STREAMING UPDATE',
        operationParameters: { outputMode: 'Append', archivedOffsets: String(offsets) },
        isBlindAppend: false,
        operationMetrics: { numAddedFiles: '0', numOutputRows: '0' },
      },
      actions: [
        ...format,
        { txn: { appId: archiveAppId, version: instantMs, lastUpdated: context.clock.now() } },
      ],
      check: (winner, now) => {
        const sameRules = now.protocol === protocol && now.metaData === metaData
        if (!sameRules || addsToPast(winner, instantMs)) throw new Overtaken()
      },
    },
    context,
  )
}

/** Whether a commit has an offset that the archive would take, and that is not in its files, or is an archive itself. */
function addsToPast({ actions }: DeltaCommit, instantMs: number): boolean {
  return actions.some(
    (action) =>
      'txn' in action &&
      (action.txn.appId === archiveAppId ||
        (generationOf(action.txn) !== undefined &&
          (action.txn.lastUpdated ?? Number.POSITIVE_INFINITY) < instantMs)),
  )
}
