import type { z as Zod } from 'zod'
import { TailraceError } from '../../errors.ts'
import type { GenerationMark, Span } from '../../records.ts'
import type { WrittenUnit } from '../../sinks/table-committer.ts'
import { z } from '../../zod.ts'

/** Ranges of blobs that one process reads and writes, whole or not at all. `tailrace plan` makes them. */
export interface Unit {
  /** The name of the pipeline whose blobs and table these are. */
  readonly pipeline: string
  /** One of each blob generation. An `end` inside a line means the last line that ends before it. */
  readonly spans: readonly Span[]
  /** The facts by which the generations are recognized when they are read. */
  readonly marks: readonly GenerationMark[]
}

/** A unit that has been written, for `tailrace commit`. */
export interface Manifest extends WrittenUnit {
  readonly pipeline: string
  /** `catalog.schema.table` */
  readonly table: string
  readonly rejected: number
  readonly partial: number
}

const offset = z.int().min(0)
const generation = { blob: z.string().min(1), generation: z.string().min(1) }
const spans = z
  .array(
    z.strictObject({ ...generation, start: offset, end: offset }).refine(({ start, end }) => start < end),
  )
  .min(1)
const mark = z.strictObject({
  ...generation,
  createdAt: z.string(),
  head: z.string().optional(),
  tail: z.string().optional(),
  closing: offset.optional(),
})
const unit = z.object({ pipeline: z.string(), spans, marks: z.array(mark).default([]) })

/** Rises when a release writes manifests that the one before would misread. */
const formatVersion = 1

const manifest = z.object({
  formatVersion: z.int(),
  pipeline: z.string(),
  table: z.string(),
  spans: spans.or(z.tuple([])),
  files: z.array(z.record(z.string(), z.unknown())),
  rows: offset,
  rejected: offset,
  partial: offset,
})

/**
 * @param origin the file, for messages
 * @throws UNIT_INVALID
 */
export function parseUnit(text: string, origin: string): Unit {
  const parsed = unit.safeParse(jsonOf(text, origin))
  if (parsed.success) return parsed.data
  throw invalid(`${origin} is not a unit of tailrace plan: ${firstMistake(parsed.error)}`)
}

/**
 * @param origin the file, for messages
 * @throws UNIT_INVALID, and FORMAT_TOO_NEW for one of a newer release
 */
export function parseManifest(text: string, origin: string): Manifest {
  const parsed = manifest.safeParse(jsonOf(text, origin))
  if (!parsed.success)
    throw invalid(`${origin} is not a manifest of tailrace write: ${firstMistake(parsed.error)}`)
  const { formatVersion: version, ...data } = parsed.data
  if (version > formatVersion)
    throw new TailraceError(
      'FORMAT_TOO_NEW',
      `${origin} has the format version ${version}; this release reads up to ${formatVersion}.`,
    )
  return data
}

/** @returns the content of a manifest's file, one line of JSON */
export function manifestText(written: Manifest): string {
  return `${JSON.stringify({ formatVersion, ...written })}\n`
}

/** No number of it exceeds JavaScript's precision: statistics, which may, are a text. */
function jsonOf(text: string, origin: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw invalid(`${origin} is not one JSON value`, error)
  }
}

function firstMistake({ issues: [issue] }: Zod.ZodError): string {
  return `${issue?.path.join('.') || 'the whole'}: ${issue?.message}`
}

function invalid(message: string, cause?: unknown): TailraceError {
  return new TailraceError('UNIT_INVALID', `${message}.`, { cause })
}
