import type { TableState } from '../log/state.ts'
import { clusteringDomain, isClustered } from '../protocol/features.ts'

/**
 * The table property that says who merges small files: `tailrace`, as without the property, or any other name. Jobs of
 * other engines set it and check it too (`deploy/spark/tailrace_optimize.py`), so that one of them rewrites files at a time.
 */
const optimizerProperty = 'tailrace.optimizer'

/**
 * Tailrace does not merge files of a clustered table: it would merge them in the order of landing, which undoes the
 * clustering, and remove the tags by which the clustering engine recognizes its own files.
 *
 * @returns who merges the table's small files instead of Tailrace; undefined when Tailrace does
 */
export function otherOptimizer({
  metaData,
  domains,
}: Pick<TableState, 'metaData' | 'domains'>): string | undefined {
  const named = metaData.configuration?.[optimizerProperty] ?? 'tailrace'
  if (named !== 'tailrace') return `${named} (property ${optimizerProperty})`
  return isClustered(domains.get(clusteringDomain)) ? 'the engine that clusters the table' : undefined
}
