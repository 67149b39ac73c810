import type { TableState } from '../log/state.ts'
import type { AddAction, DeltaCommit } from '../protocol/actions.ts'

/** Another commit removed one of the files, or changed the table's protocol or metadata. Nothing of the own one is visible. */
export class Overtaken extends Error {}

/**
 * @param state the one that the files were chosen by
 * @returns the check of a commit that removes files: it throws Overtaken for a commit that makes this one invalid
 */
export function overtakenBy(
  files: readonly Pick<AddAction, 'path'>[],
  { protocol, metaData }: Pick<TableState, 'protocol' | 'metaData'>,
): (winner: DeltaCommit, now: Pick<TableState, 'protocol' | 'metaData'>) => void {
  const paths = new Set(files.map(({ path }) => path))
  return ({ actions }, now) => {
    const sameRules = now.protocol === protocol && now.metaData === metaData
    const removesAny = actions.some((action) => 'remove' in action && paths.has(action.remove.path))
    if (!sameRules || removesAny) throw new Overtaken()
  }
}
