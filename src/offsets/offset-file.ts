import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { z as Zod } from 'zod'
import { type Clock, systemClock } from '../clock.ts'
import { isTailraceError, TailraceError } from '../errors.ts'
import { type BlobGeneration, type GenerationMark, generationParts } from '../records.ts'
import { z } from '../zod.ts'
import { requireFormat } from './format-version.ts'
import { type LandedOffset, LandedOffsets } from './landed-offsets.ts'
import type { LoadIntent } from './load-intent.ts'
import { makeDirectory, withStateErrors, writeDurably } from './state-files.ts'

/** The content of an offset file. */
export interface OffsetFileContent {
  /** The table version that held these offsets, or of a Databricks table the newest that a run has seen. */
  readonly tableVersion: number | undefined
  /** The id of a Databricks table; undefined for other tables. */
  readonly tableId?: string | undefined
  readonly offsets: LandedOffsets
  /** How each generation is recognized; none for a generation that was not read in full. */
  readonly marks: readonly GenerationMark[]
  /** The load that had begun and not ended; only for a sink whose table holds no offsets. */
  readonly intent: LoadIntent | undefined
  /** Loads that no start could settle: nobody knows which of their rows are in the table. Default none. */
  readonly unsettled?: readonly LoadIntent[] | undefined
}

/** A release that knows format 1 only would read the ranges of unsettled loads again, so files with some have format 2. */
const formatVersions = { plain: 1, withUnsettled: 2 } as const

/** What a file of any format has. */
const versioned = z.object({ formatVersion: z.number() })

const byteOffset = z.number().int().nonnegative()
const intent = z.object({
  id: z.string(),
  mode: z.enum(['copy-into', 'stage-only', 'replace-where']),
  spans: z.array(z.object({ blob: z.string(), generation: z.string(), start: byteOffset, end: byteOffset })),
  files: z.array(z.object({ name: z.string(), bytes: byteOffset, rows: byteOffset })),
  loadingSinceMs: byteOffset.nullable().exactOptional(),
  replaces: z
    .object({ oldRows: z.enum(['remain', 'removed']), ingestedFrom: z.string(), ingestedTo: z.string() })
    .exactOptional(),
})
const schema = z.object({
  formatVersion: z.literal([formatVersions.plain, formatVersions.withUnsettled]),
  pipeline: z.string(),
  table: z.string(),
  tableVersion: z.number().int().nonnegative().optional(),
  tableId: z.string().optional(),
  updatedAt: z.string(),
  archived: byteOffset.optional(),
  intent: intent.optional(),
  unsettled: z.array(intent).optional(),
  blobs: z.record(z.string(), z.unknown()),
})

/** Checked blob by blob, so that a large file is not in memory twice. */
const storedGenerations = z.array(
  z.object({
    generation: z.string(),
    offset: byteOffset,
    createdAt: z.string().optional(),
    head: z.string().optional(),
    tail: z.string().optional(),
    closing: byteOffset.optional(),
  }),
)

type StoredGeneration = Zod.infer<typeof storedGenerations>[number]

/** The fields of an offset file other than the offsets. */
export interface WriteOffsetsOptions {
  /** The table version that holds the offsets, where the sink has one. */
  readonly tableVersion?: number | undefined
  /** The id of the table, where the sink has one. */
  readonly tableId?: string | undefined
  /** How a generation is recognized. Default: no generation has a mark. */
  readonly markOf?: ((source: BlobGeneration) => GenerationMark | undefined) | undefined
  readonly intent?: LoadIntent | undefined
  readonly unsettled?: readonly LoadIntent[] | undefined
}

export interface OffsetFileOptions {
  readonly stateDirectory: string
  readonly pipeline: string
  /** The table that the offsets belong to. A file of another table is refused. */
  readonly table: string
  readonly clock?: Clock | undefined
}

/**
 * A pipeline's offset file: `<state>/<pipeline>.offset.json`.
 *
 * A Delta table holds its offsets itself. The file is written after each commit, so it is ahead of the table only if
 * one of the two was changed by hand, and the table is the authority. For a table that holds no offsets the file is
 * the authority, and also holds the load that has begun.
 */
export class OffsetFile {
  readonly path: string
  #pipeline: string
  #table: string
  #clock: Clock

  constructor(options: OffsetFileOptions) {
    this.path = join(options.stateDirectory, `${options.pipeline}.offset.json`)
    this.#pipeline = options.pipeline
    this.#table = options.table
    this.#clock = options.clock ?? systemClock
  }

  /**
   * @returns undefined when the file does not exist
   * @throws DIRECTORY_UNUSABLE
   * @throws OFFSET_FILE_CORRUPT when it is no offset file, or belongs to another pipeline or table
   * @throws FORMAT_TOO_NEW when a newer release wrote it
   */
  async read(): Promise<OffsetFileContent | undefined> {
    const text = await withStateErrors(this.path, () =>
      readFile(this.path, 'utf8').catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return undefined
        throw error
      }),
    )
    if (text === undefined) return undefined
    const content = this.#parse(text)
    const offsets = new LandedOffsets()
    offsets.archivedCount = content.archived ?? 0
    const marks: GenerationMark[] = []
    for (const [blob, stored] of Object.entries(content.blobs)) {
      const generations = storedGenerations.safeParse(stored)
      if (!generations.success) throw this.#corrupt(mistakeIn(generations.error, ['blobs', blob]))
      for (const { generation, offset, createdAt, head, tail, closing } of generations.data) {
        offsets.set({ blob, generation, offset })
        if (head === undefined && tail === undefined && createdAt === undefined) continue
        const instant = createdAt ?? generationParts(generation)[0]
        marks.push({ blob, generation, createdAt: instant, head, tail, closing })
      }
    }
    const { tableVersion, tableId, intent, unsettled } = content
    return { tableVersion, tableId, offsets, marks, intent, unsettled }
  }

  /** @returns how each generation is recognized; none when the file is missing or corrupt */
  async readMarks(): Promise<readonly GenerationMark[]> {
    try {
      return (await this.read())?.marks ?? []
    } catch (error) {
      if (isTailraceError(error, 'OFFSET_FILE_CORRUPT')) return []
      throw error
    }
  }

  /** Replaces the file. When this resolves, the content survives a power cut. */
  async write(
    offsets: Iterable<LandedOffset> & { readonly archivedCount?: number },
    { tableVersion, tableId, markOf = () => undefined, intent, unsettled = [] }: WriteOffsetsOptions = {},
  ): Promise<void> {
    const content: Zod.infer<typeof schema> = {
      formatVersion: unsettled.length === 0 ? formatVersions.plain : formatVersions.withUnsettled,
      pipeline: this.#pipeline,
      table: this.#table,
      tableVersion,
      tableId,
      updatedAt: new Date(this.#clock.now()).toISOString(),
      archived: offsets.archivedCount || undefined,
      intent: intent === undefined ? undefined : toStored(intent),
      unsettled: unsettled.length === 0 ? undefined : unsettled.map(toStored),
      blobs: {},
    }
    const pieces = piecesOf(content, offsets, markOf)
    await withStateErrors(this.path, async () => {
      await makeDirectory(dirname(this.path))
      await writeDurably(this.path, pieces)
    })
  }

  #parse(text: string): Zod.infer<typeof schema> {
    let value: unknown
    try {
      value = JSON.parse(text)
    } catch (error) {
      throw this.#corrupt('is not JSON', error)
    }
    requireFormat(versioned.safeParse(value).data?.formatVersion, formatVersions.withUnsettled, this.path)
    const parsed = schema.safeParse(value)
    if (!parsed.success) throw this.#corrupt(mistakeIn(parsed.error))
    if (parsed.data.pipeline !== this.#pipeline || parsed.data.table !== this.#table) {
      throw this.#corrupt(`belongs to pipeline ${parsed.data.pipeline} and table ${parsed.data.table}`)
    }
    return parsed.data
  }

  #corrupt(why: string, cause?: unknown): TailraceError {
    return new TailraceError('OFFSET_FILE_CORRUPT', `${this.path} ${why}.`, { cause })
  }
}

/** @param within where the checked value is in the file */
function mistakeIn({ issues: [issue] }: Zod.ZodError, within: readonly string[] = []): string {
  const path = [...within, ...(issue?.path ?? [])].join('.')
  return `is not an offset file: ${path || 'the top level'}: ${issue?.message}`
}

/** Blobs in a piece of the file's text. */
const pieceBlobs = 1_000

/**
 * The text of a file, its blobs in the order of their names. All pieces are made at once, because offsets and marks go on
 * while the file is written, and no object or text has all blobs: of 48,000, which are 19 MB, those took 100 MB.
 *
 * @param content has no blobs
 */
function piecesOf(
  content: Zod.infer<typeof schema>,
  offsets: Iterable<LandedOffset>,
  markOf: (source: BlobGeneration) => GenerationMark | undefined,
): readonly Buffer[] {
  const sorted = [...offsets].sort((a, b) => (a.blob < b.blob ? -1 : a.blob > b.blob ? 1 : 0))
  const end = '}\n}'
  const pieces = [Buffer.from(JSON.stringify(content, null, 2).slice(0, -end.length))]
  let blobs: string[] = []
  for (let from = 0; from < sorted.length; ) {
    const { blob } = sorted[from]!
    const generations: StoredGeneration[] = []
    for (; sorted[from]?.blob === blob; from += 1)
      generations.push(stored(sorted[from]!, markOf(sorted[from]!)))
    const value = JSON.stringify(generations, null, 2).replaceAll('\n', '\n    ')
    blobs.push(`\n    ${JSON.stringify(blob)}: ${value}${from < sorted.length ? ',' : '\n  '}`)
    if (blobs.length < pieceBlobs && from < sorted.length) continue
    pieces.push(Buffer.from(blobs.join('')))
    blobs = []
  }
  return [...pieces, Buffer.from(`${end}\n`)]
}

/** Copies the lists: the schema's type has mutable ones. */
function toStored({ spans, files, ...rest }: LoadIntent): Zod.infer<typeof intent> {
  return { ...rest, spans: [...spans], files: [...files] }
}

function stored({ generation, offset }: LandedOffset, mark: GenerationMark | undefined): StoredGeneration {
  if (mark === undefined) return { generation, offset }
  const { createdAt, head, tail, closing } = mark
  return {
    generation,
    offset,
    createdAt: createdAt === generationParts(generation)[0] ? undefined : createdAt,
    head,
    tail,
    closing,
  }
}
