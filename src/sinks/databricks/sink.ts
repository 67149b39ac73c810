import { isAbsolute, resolve } from 'node:path'
import { qualifiedName } from '../../tables/spark-sql.ts'
import type { Sink } from '../sink.ts'
import {
  createdProperties,
  type DatabricksOptions,
  type DatabricksTarget,
  databricksOptions,
  stagesFiles,
  stagingFolderOf,
  tableId,
} from './options.ts'
import { landingCost } from './setup/cost.ts'
import { lockState } from './state-lock.ts'
import { createTableSql, streamingTableSql } from './tables/definition.ts'
import { readName, rowsOnceSql } from './zerobus/rows-once.ts'

const MiB = 1024 * 1024

/** The rows of a batch that is merged are in memory as text. */
const maxMergedBytes = 16 * MiB

/** Rows are sent as soon as they are there; one process sends them in requests of 1 MiB. */
const zerobusBatches = {
  maxBytes: 4 * MiB,
  maxAgeMs: 1_000,
  limit: { maxBytes: 16 * MiB, with: 'mode zerobus' },
}

/** A warehouse is paid from its start to the end of its auto-stop, so that pipelines wake it together and not often. */
const usual = { landEveryMs: 900_000, maxAgeMs: 900_000 }

/** @returns why a mode lands no units, as the end of a sentence; undefined when it does */
function whyNoUnits({ mode }: Pick<DatabricksOptions, 'mode'>): string | undefined {
  if (!stagesFiles({ mode })) return 'which stages no files'
  return mode === 'stage-only' ? 'whose files are loaded as soon as they are staged' : undefined
}

/**
 * Tables of a Databricks workspace, which a warehouse loads. Modules that need the workspace are imported when they are
 * used: the driver is large, and most configs do without it.
 */
export const databricksSink: Sink<DatabricksOptions> = {
  kind: 'databricks',
  options: databricksOptions,

  // A load into a warehouse takes seconds and is paid for, however little it holds.
  batchDefaults({ mode }) {
    if (mode === 'zerobus') return zerobusBatches
    if (mode !== 'merge') return { ...usual, maxBytes: 256 * MiB }
    return { ...usual, maxBytes: 4 * MiB, limit: { maxBytes: maxMergedBytes, with: 'mode merge' } }
  },

  resolvePaths(options, directory) {
    const { customCaFile: file } = options
    if (file === undefined) return options
    return { ...options, customCaFile: isAbsolute(file) ? file : resolve(directory, file) }
  },

  nameMistake: ({ catalog }) =>
    catalog.toLowerCase() === 'hive_metastore'
      ? 'found the catalog hive_metastore, expected one of Unity Catalog: only its tables can be loaded from a volume, and only it shows whether rows are hidden'
      : undefined,

  tableId,
  // The file is the truth, so it must not be taken for that of a table of the same name elsewhere.
  offsetsTable: tableId,

  // A transaction fences off another one by itself, but a process of another mode would take its offsets over.
  lock: ({ name, sink }, stateDirectory) =>
    lockState(stateDirectory, name, sink.mode === 'transaction' ? 'shared' : 'alone'),

  refusesShards: ({ mode }) =>
    mode === 'transaction'
      ? undefined
      : `lands by mode ${mode}, whose offsets other shards cannot read: set sink.mode to transaction, or run a process per pipeline`,

  async open(context) {
    const { openDatabricks } = await import('./open.ts')
    return openDatabricks(context)
  },

  async inspect(context) {
    const { inspectDatabricks } = await import('./inspect.ts')
    return inspectDatabricks(context)
  },

  async createTable(context) {
    const { target, logger } = context
    if (target.sink.mode === 'stage-only') {
      logger.warn(
        { pipeline: target.name },
        'this table is loaded by Databricks itself: --print prints its definition',
      )
      return {
        because: 'is loaded by Databricks itself: print its definition with --print and run it there',
      }
    }
    const { createInWorkspace } = await import('./create-table.ts')
    return createInWorkspace(context)
  },

  createTableSql(target) {
    const { sink, table } = target
    const tableSql = (): string =>
      createTableSql(table, { layout: sink.layout, properties: createdProperties(sink) })
    if (sink.mode === 'zerobus') return `${tableSql()};\n${rowsOnceSql(table.name)}`
    if (sink.mode !== 'stage-only') return tableSql()
    return streamingTableSql(table, { layout: sink.layout, folder: stagingFolderOf(target) ?? '' })
  },

  readName,

  units({ mode }) {
    const why = whyNoUnits({ mode })
    if (why !== undefined)
      return {
        because: `lands by mode ${mode}, ${why}: set sink.mode to transaction, replace-where or copy-into`,
      }
    return {
      async openStore(context) {
        const { openUnitStore } = await import('./open-unit-store.ts')
        return openUnitStore(context)
      },
    }
  },

  query: {
    engineOf: ({ sink }) => `${sink.host} ${sink.httpPath ?? ''}`,
    dialect: 'spark',
    relationOf: (target) => qualifiedName(readName(target)),
    async run([first], request) {
      const { queryWorkspace } = await import('./query.ts')
      // All targets are in one workspace, so the connection of any of them serves.
      if (first !== undefined) await queryWorkspace(first, request)
    },
  },

  history: { because: 'is in a Databricks workspace: run DESCRIBE HISTORY there' },
  maintenance: {
    because:
      'is in a Databricks workspace: run OPTIMIZE or VACUUM there, or leave both to predictive optimization',
  },

  setup: {
    systemOf,
    async script(targets, principal) {
      const { setupScript } = await import('./setup/setup-script.ts')
      return setupScript(targets, principal)
    },
    async openNoting(context, note) {
      const { openNoting } = await import('./setup/noting-workspace.ts')
      return openNoting(context, note)
    },
    async probeRights(context) {
      const { probeRights } = await import('./setup/probe-rights.ts')
      return probeRights(context)
    },
    async missingGrants(target, error, principal) {
      const { grantSql } = await import('./setup/grant-sql.ts')
      const { deniedRight, neededRights } = await import('./setup/rights.ts')
      const right = deniedRight(error)
      if (right === undefined) return undefined
      if (right !== 'unnamed') return { missing: grantSql([right], principal), unnamed: [], unknown: [] }
      const { creation } = neededRights(target)
      const { message } = error as Error
      return { missing: [], unnamed: [message], unknown: grantSql(creation, principal) }
    },
    async removeScratch(context) {
      const { removeScratch } = await import('./setup/remove-scratch.ts')
      await removeScratch(context)
    },
    async cost(context, loads) {
      const { readWarehousePrice } = await import('./setup/read-warehouse-price.ts')
      return landingCost(systemOf(context.target), loads, await readWarehousePrice(context))
    },
  },
}

/** The workspace and its warehouse. */
function systemOf({ sink }: Pick<DatabricksTarget, 'sink'>): string {
  return `${sink.host}${sink.httpPath ?? ''}`
}
