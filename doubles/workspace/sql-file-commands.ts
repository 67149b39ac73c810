import { pathNotFound } from './sql-failures.ts'
import type { Statement } from './sql-statements.ts'
import type { DiskVolumes } from './volume-files.ts'
import { SqlFailure, type StagingRequest, type StatementRows } from './warehouse-engine.ts'

type FileCommand = Extract<Statement, { kind: 'PUT' | 'REMOVE' }>

/**
 * Checks a statement that moves a file. @returns the action of the client
 *
 * Whether the file of a REMOVE exists is not asked: the client meets a 404 at the storage.
 */
export async function stagingRequest(command: FileCommand, volumes: DiskVolumes): Promise<StagingRequest> {
  const volumePath = volumes.normalize(command.volumePath)
  if (command.kind === 'REMOVE') return { kind: 'staging', operation: 'REMOVE', volumePath }
  if (command.kind === 'PUT' && !command.overwrite && (await volumes.exists(volumePath))) {
    // The class is what the end-to-end tests of databricks-sql-python expect (read 2026-11-24); the text and the
    // SQLSTATE are not known from a public source.
    throw new SqlFailure(
      'FILE_IN_STAGING_PATH_ALREADY_EXISTS',
      '42K04',
      `File in staging path ${volumePath} already exists but OVERWRITE is not set.`,
    )
  }
  return { kind: 'staging', operation: command.kind, localFile: command.localFile, volumePath }
}

/** Lists a folder; columns and the meaning of the time as the page "LIST" of the Databricks SQL reference has them. */
export async function listFolder(
  folder: string,
  limit: number,
  volumes: DiskVolumes,
): Promise<StatementRows> {
  const entries = await volumes.entries(folder)
  if (entries === undefined) throw pathNotFound(folder)
  return {
    kind: 'rows',
    columns: [
      { name: 'path', type: 'STRING' },
      { name: 'name', type: 'STRING' },
      { name: 'size', type: 'BIGINT' },
      { name: 'modification_time', type: 'BIGINT' },
    ],
    rows: entries
      .slice(0, limit)
      .map(({ path, name, bytes, modifiedAtMs }) => [path, name, BigInt(bytes), BigInt(modifiedAtMs)]),
  }
}
