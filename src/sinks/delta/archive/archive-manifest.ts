import { TailraceError } from '../../../errors.ts'
import { requireFormat } from '../../../offsets/format-version.ts'
import { z } from '../../../zod.ts'
import type { DeltaStorage } from '../storage/delta-storage.ts'

/** Begins with `_`, so that the VACUUM of every engine leaves the folder alone. */
export const archiveFolder = '_tailrace/offsets'

/** One file of an archive. Its offsets are sorted by blob. */
export interface ArchiveFile {
  /** In `archiveFolder`. */
  readonly name: string
  readonly offsets: number
  readonly bytes: number
  /** The first and the last blob, in the order of their UTF-8 bytes. */
  readonly firstBlob: string
  readonly lastBlob: string
  /** The latest creation instant of a generation, as text. */
  readonly lastInstant: string
}

/**
 * The files of an archive, oldest first. A blob that grew after it had been archived is in it several times: the largest
 * offset counts, because an offset never goes back.
 */
export interface ArchiveManifest {
  readonly files: readonly ArchiveFile[]
  /** The instant of the archive that this one replaced. Absent in a table's first one. */
  readonly former?: number | undefined
}

const formatVersion = 1

const schema = z.object({
  formatVersion: z.literal(formatVersion),
  former: z.number().int().optional(),
  files: z.array(
    z.object({
      name: z.string().regex(/^[\w.-]+$/),
      offsets: z.number().int().positive(),
      bytes: z.number().int().positive(),
      firstBlob: z.string(),
      lastBlob: z.string(),
      lastInstant: z.string(),
    }),
  ),
})

/** @returns the path of the manifest of an archive by its instant, relative to the table's root */
export function manifestPath(instantMs: number): string {
  return `${archiveFolder}/${String(instantMs).padStart(16, '0')}.json`
}

export function encodeManifest({ files, former }: ArchiveManifest): Buffer {
  return Buffer.from(`${JSON.stringify({ formatVersion, former, files }, null, 2)}\n`)
}

/**
 * Reads the manifest of an archive.
 *
 * @param instantMs the version of the table's transaction `archiveAppId`
 * @throws TABLE_CORRUPT when it is missing or cannot be read, FORMAT_TOO_NEW
 */
export async function readManifest(storage: DeltaStorage, instantMs: number): Promise<ArchiveManifest> {
  const path = manifestPath(instantMs)
  const bytes = await storage.read(path)
  if (bytes === undefined) throw missingFile(storage, path)
  try {
    const content: unknown = JSON.parse(bytes.toString('utf8'))
    requireFormat((content as { formatVersion?: unknown } | null)?.formatVersion, formatVersion, path)
    return schema.parse(content)
  } catch (error) {
    if (error instanceof TailraceError) throw error
    throw new TailraceError('TABLE_CORRUPT', `${path} is not the manifest of an offset archive.`, {
      cause: error,
    })
  }
}

/** @returns the path of a table's newest manifest, whether or not the log names it */
export async function newestManifest(storage: DeltaStorage): Promise<string | undefined> {
  const names = await storage.list(archiveFolder)
  const newest = names
    .filter((name) => name.endsWith('.json'))
    .sort()
    .at(-1)
  return newest && `${archiveFolder}/${newest}`
}

/** @returns the error of a table whose log does not name its archive */
export function lostArchive({ location }: Pick<DeltaStorage, 'location'>, path: string): TailraceError {
  return new TailraceError(
    'TABLE_CORRUPT',
    `The log of ${location} has lost the transaction tailrace-archive, and so the offsets of ${path}: nothing is landed, because those blobs would land again. Remove the property delta.setTransactionRetentionDuration, and restore the log from a backup.`,
    { context: { path } },
  )
}

/** @returns the error of a table whose archive was left behind when its other files were copied */
export function missingFile({ location }: Pick<DeltaStorage, 'location'>, path: string): TailraceError {
  return new TailraceError(
    'TABLE_CORRUPT',
    `${path} of ${location} is missing: it has offsets of the table. Copy the folder _tailrace from the place that the table comes from.`,
    { context: { path } },
  )
}
