import { open, readFile, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { z } from 'zod'
import { isTailraceError, TailraceError } from '../errors.ts'
import { type BlobGeneration, type GenerationMark, generationParts } from '../records.ts'
import { type LandedOffset, LandedOffsets } from './landed-offsets.ts'
import type { LoadIntent } from './load-intent.ts'
import { makeDirectory, withStateErrors } from './state-files.ts'

/** What an offset file says. */
export interface OffsetFile {
  /** The table version that held these offsets. */
  readonly tableVersion: number | undefined
  readonly offsets: LandedOffsets
  /** What each generation is recognized by, as far as it was known. */
  readonly marks: readonly GenerationMark[]
  /** What was under way, where the sink writes it down. */
  readonly intent: LoadIntent | undefined
}

const formatVersion = 1

const byteOffset = z.number().int().nonnegative()
const intent = z.object({
  id: z.string(),
  mode: z.enum(['copy-into', 'stage-only']),
  spans: z.array(z.object({ blob: z.string(), generation: z.string(), start: byteOffset, end: byteOffset })),
  files: z.array(z.object({ name: z.string(), bytes: byteOffset, rows: byteOffset })),
  replaces: z
    .object({ oldRows: z.enum(['remain', 'removed']), ingestedFrom: z.string(), ingestedTo: z.string() })
    .exactOptional(),
})
const schema = z.object({
  formatVersion: z.literal(formatVersion),
  pipeline: z.string(),
  table: z.string(),
  tableVersion: z.number().int().nonnegative().optional(),
  updatedAt: z.string(),
  intent: intent.optional(),
  blobs: z.record(
    z.string(),
    z.array(
      z.object({
        generation: z.string(),
        offset: byteOffset,
        createdAt: z.string().optional(),
        head: z.string().optional(),
        tail: z.string().optional(),
        closing: byteOffset.optional(),
      }),
    ),
  ),
})

type StoredGeneration = z.infer<typeof schema>['blobs'][string][number]

/** What a file says beside the offsets. */
export interface OffsetFileNotes {
  /** The table version that holds the offsets, where the sink has one. */
  readonly tableVersion?: number | undefined
  /** What a generation is recognized by. */
  readonly markOf?: (source: BlobGeneration) => GenerationMark | undefined
  readonly intent?: LoadIntent | undefined
}

export interface FileOffsetStoreOptions {
  readonly stateDirectory: string
  readonly pipeline: string
  /** The table the offsets belong to: an offset file of another table says nothing about this one. */
  readonly table: string
  readonly nowMs?: () => number
}

/**
 * A pipeline's offsets, readable: `<state>/<pipeline>.offset.json`.
 *
 * With a Delta table it is written after the commit, so it is never ahead of the table unless somebody changed it or
 * the table; the table decides. With a table that holds no offsets it is the truth itself, with what was under way.
 */
export class FileOffsetStore {
  readonly path: string
  #pipeline: string
  #table: string
  #nowMs: () => number

  constructor(options: FileOffsetStoreOptions) {
    this.path = join(options.stateDirectory, `${options.pipeline}.offset.json`)
    this.#pipeline = options.pipeline
    this.#table = options.table
    this.#nowMs = options.nowMs ?? Date.now
  }

  /**
   * @returns what the file says, or `undefined` when there is none
   * @throws DIRECTORY_UNUSABLE
   * @throws OFFSET_FILE_CORRUPT when it is not what `write` wrote, or belongs to another pipeline or table
   */
  async read(): Promise<OffsetFile | undefined> {
    const text = await withStateErrors(this.path, () =>
      readFile(this.path, 'utf8').catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return undefined
        throw error
      }),
    )
    if (text === undefined) return undefined
    const content = this.#parse(text)
    const offsets = new LandedOffsets()
    const marks: GenerationMark[] = []
    for (const [blob, generations] of Object.entries(content.blobs)) {
      for (const { generation, offset, ...recognized } of generations) {
        offsets.set({ blob, generation, offset })
        const { createdAt = generationParts(generation)[0], head, tail, closing } = recognized
        if (head === undefined && tail === undefined && recognized.createdAt === undefined) continue
        marks.push({
          blob,
          generation,
          createdAt,
          ...(head === undefined ? {} : { head }),
          ...(tail === undefined ? {} : { tail }),
          ...(closing === undefined ? {} : { closing }),
        })
      }
    }
    return { tableVersion: content.tableVersion, offsets, marks, intent: content.intent }
  }

  /** @returns what each generation is recognized by; none when the file is missing or unusable */
  async readMarks(): Promise<readonly GenerationMark[]> {
    try {
      return (await this.read())?.marks ?? []
    } catch (error) {
      if (isTailraceError(error, 'OFFSET_FILE_CORRUPT')) return []
      throw error
    }
  }

  /** Replaces the file, durably. */
  async write(
    offsets: Iterable<LandedOffset>,
    { tableVersion, markOf = () => undefined, intent }: OffsetFileNotes = {},
  ): Promise<void> {
    const blobs: Record<string, StoredGeneration[]> = {}
    for (const landed of offsets) {
      blobs[landed.blob] ??= []
      blobs[landed.blob]?.push(stored(landed, markOf(landed)))
    }
    const content: z.infer<typeof schema> = {
      formatVersion,
      pipeline: this.#pipeline,
      table: this.#table,
      ...(tableVersion === undefined ? {} : { tableVersion }),
      updatedAt: new Date(this.#nowMs()).toISOString(),
      ...(intent === undefined ? {} : { intent: toStored(intent) }),
      blobs: Object.fromEntries(Object.entries(blobs).sort(([a], [b]) => (a < b ? -1 : 1))),
    }
    await withStateErrors(this.path, async () => {
      await makeDirectory(dirname(this.path))
      await writeDurably(this.path, `${JSON.stringify(content, null, 2)}\n`)
    })
  }

  #parse(text: string): z.infer<typeof schema> {
    const corrupt = (why: string, cause?: unknown): TailraceError =>
      new TailraceError('OFFSET_FILE_CORRUPT', `${this.path} ${why}.`, { cause })
    let value: unknown
    try {
      value = JSON.parse(text)
    } catch (error) {
      throw corrupt('is not JSON', error)
    }
    const parsed = schema.safeParse(value)
    if (!parsed.success) {
      const [issue] = parsed.error.issues
      throw corrupt(`is not an offset file: ${issue?.path.join('.') || 'the top level'}: ${issue?.message}`)
    }
    if (parsed.data.pipeline !== this.#pipeline || parsed.data.table !== this.#table) {
      throw corrupt(`belongs to pipeline ${parsed.data.pipeline} and table ${parsed.data.table}`)
    }
    return parsed.data
  }
}

/** A copy that can be changed, which the schema's type asks for. */
function toStored({ spans, files, ...rest }: LoadIntent): z.infer<typeof intent> {
  return { ...rest, spans: [...spans], files: [...files] }
}

function stored({ generation, offset }: LandedOffset, mark: GenerationMark | undefined): StoredGeneration {
  if (mark === undefined) return { generation, offset }
  const { createdAt, head, tail, closing } = mark
  return {
    generation,
    offset,
    ...(createdAt === generationParts(generation)[0] ? {} : { createdAt }),
    ...(head === undefined ? {} : { head }),
    ...(tail === undefined ? {} : { tail }),
    ...(closing === undefined ? {} : { closing }),
  }
}

/**
 * Replaces a file's content so that a crash at any instant leaves the old or the new one, whole.
 *
 * Temporary file, fsync, rename, fsync of the folder: without the last step a power cut can undo the rename.
 */
export async function writeDurably(path: string, text: string): Promise<void> {
  const temporary = `${path}.${process.pid}.tmp`
  try {
    const file = await open(temporary, 'w')
    try {
      await file.writeFile(text)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
  const folder = await open(dirname(path), 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}
