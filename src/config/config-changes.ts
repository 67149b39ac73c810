import { isDeepStrictEqual } from 'node:util'
import type { TableDeclaration } from '../tables/table.ts'
import type { ResolvedConfig, ResolvedPipeline } from './resolved.ts'

/** The effect of a config that is loaded again on the running process. */
export interface ConfigChanges {
  /** Names of pipelines. */
  readonly added: readonly string[]
  readonly removed: readonly string[]
  /** Pipelines that are opened anew. */
  readonly changed: readonly string[]
  /** Changed options that only a new process takes over. */
  readonly needRestart: readonly string[]
}

/**
 * Compares a config with the one it replaces.
 *
 * Functions of two loads cannot be compared: a transform may depend on anything around it. So a pipeline with transforms,
 * or with a function for a URL, always counts as changed.
 */
export function compareConfigs(before: ResolvedConfig, after: ResolvedConfig): ConfigChanges {
  const [old, fresh] = [Object.keys(before.pipelines), Object.keys(after.pipelines)]
  const isShared = !isDeepStrictEqual([before.disk, before.restart], [after.disk, after.restart])
  const metrics = new Set([...Object.keys(before.metrics ?? {}), ...Object.keys(after.metrics ?? {})])
  const processOptions: [name: string, before: unknown, after: unknown][] = [
    ['stateDirectory', before.stateDirectory, after.stateDirectory],
    ['shard', before.shard, after.shard],
    ...[...(metrics as Set<keyof NonNullable<ResolvedConfig['metrics']>>)].map(
      (name): [string, unknown, unknown] => [
        `metrics.${name}`,
        before.metrics?.[name],
        after.metrics?.[name],
      ],
    ),
    ['runs', before.runs, after.runs],
    ['page', before.page, after.page],
    ['stopMs', before.stopMs, after.stopMs],
  ]
  return {
    added: fresh.filter((name) => !old.includes(name)),
    removed: old.filter((name) => !fresh.includes(name)),
    changed: fresh.filter(
      (name) => old.includes(name) && (isShared || !isSame(before.pipelines[name]!, after.pipelines[name]!)),
    ),
    needRestart: processOptions
      .filter(([, one, other]) => !isDeepStrictEqual(one, other))
      .map(([name]) => name),
  }
}

function isSame(before: ResolvedPipeline, after: ResolvedPipeline): boolean {
  return isDeepStrictEqual(comparable(before), comparable(after))
}

function comparable({ table, ...pipeline }: ResolvedPipeline): object {
  return { ...pipeline, table: comparableTable(table) }
}

/** A projection is compared by its SQL. The views are those of queries, which other processes run. */
function comparableTable({ projection, views: _views, ...plain }: TableDeclaration): object {
  const statements = ([undefined, 'checked', 'unchecked'] as const).map((usual) =>
    projection.select('source', { passThrough: ['source_blob'], usual }),
  )
  return { ...plain, statements }
}
