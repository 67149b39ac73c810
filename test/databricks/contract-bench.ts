import { randomUUID } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { systemClock } from '../../src/clock.ts'
import { silentLogger } from '../../src/reporting/logger.ts'
import { tokenSource } from '../../src/sinks/databricks/open-workspace.ts'
import { FilesApiStaging } from '../../src/sinks/databricks/staging/files-api.ts'
import { SqlVolumeStaging } from '../../src/sinks/databricks/staging/sql-volume.ts'
import type { VolumeStaging } from '../../src/sinks/databricks/staging/volume-staging.ts'
import { OffsetsTable } from '../../src/sinks/databricks/transactions/offsets-table.ts'
import { SqlWarehouse, type SqlWarehouseOptions } from '../../src/sinks/databricks/warehouse/sql-warehouse.ts'
import type { StatementRow } from '../../src/sinks/databricks/warehouse/warehouse.ts'
import type { TokenSource } from '../../src/sinks/databricks/workspace/auth.ts'
import { WorkspaceHttp } from '../../src/sinks/databricks/workspace/http.ts'
import { rowsOnceName } from '../../src/sinks/databricks/zerobus/rows-once.ts'
import { qualifiedName } from '../../src/tables/spark-sql.ts'
import type { TableName } from '../../src/tables/table.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import type { ContractTarget, TargetWorkspace } from './contract-targets.ts'

/** The two ways into a volume. */
export const uploads = ['put', 'files-api'] as const

/** Our own ways into a workspace, and names that nobody else has; what was made goes at the end of the test. */
export interface ContractBench {
  readonly workspace: TargetWorkspace
  readonly warehouse: SqlWarehouse
  readonly tokens: TokenSource
  readonly directory: string
  /** A warehouse of its own session, such as a process has that is started again. */
  anotherWarehouse(options?: Partial<SqlWarehouseOptions>): SqlWarehouse
  /** A name for a table, which is dropped at the end if there is one by then; with its view of single rows, if told so. */
  table(options?: { readonly hasRowsOnce: boolean }): TableName
  /** A folder in the volume, which is emptied and removed at the end. */
  folder(): string
  staging(upload: (typeof uploads)[number], folder: string): VolumeStaging
  /** Removes a table's offsets at the end, and their table, too, if that was not there before and has no others. */
  forgetOffsetsOf(name: TableName): void
  query(sql: string): Promise<readonly StatementRow[]>
  /** A local file. */
  localFile(content: Buffer | string): Promise<string>
}

/** Nothing is waited for longer than some minutes: a broken promise is to be told. */
const patience = { policy: { maxAttempts: 10 } }

export async function openContractBench(t: TestContext, target: ContractTarget): Promise<ContractBench> {
  // Hooks run in the order in which they were added, and this one needs what the others remove.
  const steps: (() => Promise<void>)[] = []
  t.after(async () => {
    for (const step of steps) await step()
  })
  const directory = await temporaryDirectory(t)
  const workspace = await target.open(directory)
  const { address } = workspace
  const http = new WorkspaceHttp({ address, clock: systemClock })
  const tokens = tokenSource(address.auth, { http, clock: systemClock })
  const opened: SqlWarehouse[] = []
  const anotherWarehouse: ContractBench['anotherWarehouse'] = (options = {}) => {
    const made = new SqlWarehouse({
      address,
      tokens,
      pipeline: 'contract',
      clock: systemClock,
      logger: silentLogger,
      retry: patience,
      ...options,
    })
    opened.push(made)
    return made
  }
  const warehouse = anotherWarehouse()
  const query: ContractBench['query'] = (sql) =>
    warehouse.execute({ label: 'ask for the contract', sql, repeatable: true })
  const staging: ContractBench['staging'] = (upload, folder) =>
    upload === 'put'
      ? new SqlVolumeStaging({ folder, warehouse })
      : new FilesApiStaging({ folder, http, tokens, clock: systemClock, retry: patience })
  const tables: TableName[] = []
  const views: TableName[] = []
  const folders: string[] = []
  const removeFolder = async (path: string): Promise<void> => {
    const files = staging('files-api', path)
    const listed = await files.list('')
    for (const { name } of listed.files) await files.remove(name)
    for (const name of listed.folders) await removeFolder(`${path}/${name}`)
    const { value } = await tokens.token()
    await http.request({
      method: 'DELETE',
      path: `/api/2.0/fs/directories${path}`,
      headers: { authorization: `Bearer ${value}` },
    })
  }
  steps.push(
    async () => {
      for (const name of views) await query(`DROP VIEW IF EXISTS ${qualifiedName(name)}`)
      for (const name of tables) await query(`DROP TABLE IF EXISTS ${qualifiedName(name)}`)
      for (const path of folders) await removeFolder(path)
      for (const one of opened) await one.close()
      http.close()
    },
    () => workspace.close(),
  )
  const forgetOffsetsOf: ContractBench['forgetOffsetsOf'] = (name) => {
    const offsets = new OffsetsTable(warehouse, name, 'contract')
    const wasThere = offsets.exists().catch(() => true)
    // Before the connections are closed.
    steps.unshift(async () => {
      if (!(await offsets.exists())) return
      const table = qualifiedName(offsets.name)
      const { target } = offsets.parameters
      await warehouse.execute({
        label: 'forget offsets',
        sql: `DELETE FROM ${table} WHERE target = :target`,
        parameters: { target },
        repeatable: true,
      })
      const [others] = await query(`SELECT count(*) AS n FROM ${table} WHERE target <> ''`)
      if (!(await wasThere) && Number(others?.n) === 0) await query(`DROP TABLE IF EXISTS ${table}`)
    })
  }
  let files = 0
  return {
    forgetOffsetsOf,
    workspace,
    warehouse,
    tokens,
    directory,
    anotherWarehouse,
    table: ({ hasRowsOnce } = { hasRowsOnce: false }) => {
      const { catalog, schema } = workspace
      const name = { catalog, schema, table: `tailrace_contract_${randomUUID().replaceAll('-', '_')}` }
      tables.push(name)
      if (hasRowsOnce) views.push(rowsOnceName(name))
      return name
    },
    folder: () => {
      const path = `${workspace.volume}/tailrace-contract-${randomUUID()}`
      folders.push(path)
      return path
    },
    staging,
    query,
    localFile: async (content) => {
      files += 1
      const path = join(directory, `local-${files}`)
      await writeFile(path, content)
      return path
    },
  }
}
