import type { DatabricksTarget } from '../options.ts'

/**
 * Where a pipeline's files are staged: apart from those of all others, and anew where a pipeline changes its table.
 *
 * @returns undefined where rows travel without files
 */
export function stagingFolderOf({
  name,
  sink,
  table,
}: Pick<DatabricksTarget, 'name' | 'sink' | 'table'>): string | undefined {
  if (sink.volume === undefined || sink.mode === 'merge') return undefined
  return `${sink.volume}/${name}/${Object.values(table.name).join('.')}`
}
