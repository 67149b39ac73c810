import type { DatabricksTarget } from '../options.ts'

/**
 * The folder where a pipeline stages its files: one per pipeline and table.
 *
 * @returns undefined in mode merge, which needs no files
 */
export function stagingFolderOf({
  name,
  sink,
  table,
}: Pick<DatabricksTarget, 'name' | 'sink' | 'table'>): string | undefined {
  if (sink.volume === undefined || sink.mode === 'merge') return undefined
  return `${sink.volume}/${name}/${Object.values(table.name).join('.')}`
}
