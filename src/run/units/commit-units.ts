import { choosePipeline } from '../../config/choose-pipelines.ts'
import { TailraceError } from '../../errors.ts'
import type { UnitOutcome } from '../../sinks/table-committer.ts'
import type { InspectionContext } from '../inspection/for-each-pipeline.ts'
import { withResources } from '../resources.ts'
import { requireUnits } from './require-units.ts'
import type { Manifest } from './unit-files.ts'

/** The result of one commit, which `tailrace commit` prints. */
export interface CommitUnitsReceipt {
  readonly pipeline: string
  readonly landed: number
  /** Units whose ranges the table had already. */
  readonly landedBefore: number
  readonly refused: readonly { readonly manifest: string; readonly reason: string }[]
  /** Rows of the units that were landed. */
  readonly rows: number
  readonly tableVersion: number | undefined
}

/** A manifest and the file that it came from, for messages. */
export interface NamedManifest extends Manifest {
  readonly origin: string
}

/**
 * Lands written units, each whole or not at all: all of one pipeline in one commit where its table has room for them.
 *
 * @throws UNIT_INVALID when a manifest is of another table
 * @throws USAGE, COMMIT_CONTENDED, COMMIT_UNKNOWN
 */
export async function commitUnits(
  context: InspectionContext,
  manifests: readonly NamedManifest[],
): Promise<readonly CommitUnitsReceipt[]> {
  const names = [...new Set(manifests.map(({ pipeline }) => pipeline))]
  const byPipeline = names.map((name) => [name, manifests.filter((one) => one.pipeline === name)] as const)
  for (const [name, units] of byPipeline) requireTable(context, name, units)
  const receipts: CommitUnitsReceipt[] = []
  for (const [name, units] of byPipeline) receipts.push(await commitOfPipeline(context, name, units))
  return receipts
}

function requireTable({ config }: InspectionContext, name: string, units: readonly NamedManifest[]): void {
  const pipeline = choosePipeline(config, name)
  const table = pipeline.sinkKind.offsetsTable(pipeline)
  const foreign = units.find((unit) => unit.table !== table)
  if (foreign === undefined) return
  throw new TailraceError(
    'UNIT_INVALID',
    `${foreign.origin} is of the table ${foreign.table}, and ${name} lands in ${table}.`,
  )
}

async function commitOfPipeline(
  { config, clock, logger }: InspectionContext,
  name: string,
  units: readonly NamedManifest[],
): Promise<CommitUnitsReceipt> {
  const pipeline = choosePipeline(config, name)
  requireUnits(name, pipeline)
  return withResources({ name, config: pipeline, shared: config, clock, logger }, async ({ committer }) => {
    if (committer.landUnits === undefined) throw new Error('a table that takes units lands none')
    const { outcomes, tableVersion } = await committer.landUnits(units)
    const having = (outcome: UnitOutcome) => units.filter((_, index) => outcomes[index] === outcome)
    return {
      pipeline: name,
      landed: having('landed').length,
      landedBefore: having('landed-before').length,
      refused: units.flatMap(({ origin }, index) => {
        const outcome = outcomes[index]
        return typeof outcome === 'object' ? [{ manifest: origin, reason: outcome.refused }] : []
      }),
      rows: having('landed').reduce((sum, { rows }) => sum + rows, 0),
      tableVersion,
    }
  })
}
