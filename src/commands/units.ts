import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { choosePipeline } from '../config/choose-pipelines.ts'
import { TailraceError } from '../errors.ts'
import { withStateErrors, writeDurably } from '../offsets/state-files.ts'
import { byteAmount } from '../reporting/byte-amount.ts'
import { printTable } from '../reporting/row-printer.ts'
import { ContainerStorage } from '../run/container-storage.ts'
import { commitUnits, type NamedManifest } from '../run/units/commit-units.ts'
import { planUnits } from '../run/units/plan-units.ts'
import { manifestText, parseManifest, parseUnit, type Unit } from '../run/units/unit-files.ts'
import { writeUnit } from '../run/units/write-unit.ts'
import type { CommandContext } from './command.ts'
import { exitCodes } from './exit-code.ts'

const MiB = 1024 * 1024

export interface PlanCommandOptions {
  readonly pipeline?: string | undefined
  /** Size of a unit in MiB, about. */
  readonly unitMib: number
  readonly maxUnits?: number | undefined
  readonly json?: boolean | undefined
}

/** Prints the bytes that have not landed, divided into units. @returns the exit code */
export async function planCommand(context: CommandContext, options: PlanCommandOptions): Promise<number> {
  const { pipeline, unitMib, maxUnits, json = false } = options
  const { units, leftOut } = await planUnits(context, { pipeline, targetBytes: unitMib * MiB, maxUnits })
  for (const { blob, reason } of leftOut) context.logger.warn({ blob }, `left out: ${blob} ${reason}`)
  if (json) {
    await context.print(`${JSON.stringify({ units, leftOut })}\n`)
    return exitCodes.done
  }
  await printTable(
    context.print,
    ['unit', 'pipeline', 'blobs', 'bytes', 'first blob'],
    units.map(({ pipeline, spans }, index) => [
      index + 1,
      pipeline,
      spans.length,
      byteAmount(spans.reduce((sum, { start, end }) => sum + end - start, 0)),
      spans[0]?.blob,
    ]),
  )
  return exitCodes.done
}

/** Stores the rows of one unit, and writes its manifest: to standard output for `-`. @returns the exit code */
export async function writeCommand(
  context: CommandContext,
  files: { readonly unit: string; readonly manifest: string },
): Promise<number> {
  const { config, logger, clock } = context
  const unit: Unit = parseUnit(await textOf(files.unit), files.unit)
  const pipeline = choosePipeline(config, unit.pipeline)
  const storage = new ContainerStorage(config.stateDirectory, false, clock, logger)
  try {
    const reader = await storage.reader(pipeline.source)
    const written = await writeUnit({ config, unit, pipeline, reader, clock, logger })
    const { spans, rows, rejected, partial } = written
    if (files.manifest === '-') await context.print(manifestText(written))
    else await withStateErrors(files.manifest, () => writeDurably(files.manifest, manifestText(written)))
    logger.info({ blobs: spans.length, files: written.files.length, rows, rejected, partial }, 'unit written')
    return exitCodes.done
  } finally {
    await storage.stop()
  }
}

/**
 * Lands the units of manifests, and prints the result as one line of JSON for each pipeline.
 *
 * @param paths files, or directories of which each `.json` file is one
 * @returns the exit code: 1 when a unit was refused
 */
export async function commitCommand(context: CommandContext, paths: readonly string[]): Promise<number> {
  const manifests: NamedManifest[] = []
  for (const path of paths) {
    for (const origin of await manifestsAt(path))
      manifests.push({ ...parseManifest(await textOf(origin), origin), origin })
  }
  const receipts = await commitUnits(context, manifests)
  for (const receipt of receipts) await context.print(`${JSON.stringify(receipt)}\n`)
  const refused = receipts.flatMap((receipt) => receipt.refused)
  for (const { manifest, reason } of refused) context.logger.error({ manifest }, `UNIT_REFUSED: ${reason}`)
  return refused.length > 0 ? exitCodes.failed : exitCodes.done
}

async function manifestsAt(path: string): Promise<string[]> {
  const found = await stat(path).catch((error: unknown) => {
    throw unreadable(path, error)
  })
  if (!found.isDirectory()) return [path]
  const names = await readdir(path)
  return names
    .filter((name) => name.endsWith('.json'))
    .sort()
    .map((name) => join(path, name))
}

/** The text of a file, or of standard input for `-`. */
async function textOf(path: string): Promise<string> {
  try {
    return await readFile(path === '-' ? '/dev/stdin' : path, 'utf8')
  } catch (error) {
    throw unreadable(path, error)
  }
}

function unreadable(path: string, cause: unknown): TailraceError {
  const { code = 'unknown error' } = cause as NodeJS.ErrnoException
  return new TailraceError('UNIT_INVALID', `${path} cannot be read (${code}).`, { cause })
}
