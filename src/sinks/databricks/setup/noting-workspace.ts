import type { OpenedSink, OpenSink } from '../../sink.ts'
import { committerIn } from '../open.ts'
import type { Workspace } from '../open-workspace.ts'
import {
  createdProperties,
  type DatabricksOptions,
  type DatabricksTarget,
  stagesFiles,
  volumeFolderOf,
} from '../options.ts'
import { FilesApiStaging } from '../staging/files-api.ts'
import { SqlVolumeStaging } from '../staging/sql-volume.ts'
import { databricksTypes } from '../tables/definition.ts'
import type { Statement, StatementRow, StreamingWarehouse } from '../warehouse/warehouse.ts'
import type { WorkspaceAnswer, WorkspaceHttp, WorkspaceRequest } from '../workspace/http.ts'
import { WorkspaceApi } from '../workspace/workspace-api.ts'
import { ZerobusClient } from '../zerobus/zerobus-client.ts'

/** Receives a statement or a request, as text that can be printed. */
export type NoteStep = (step: string) => void

/**
 * Opens a table in a workspace that does not exist: every statement and request is noted instead of sent. The answers are
 * those of a workspace with a volume and without the table, so a landing sends what the first one in a new workspace does.
 */
export async function openNoting(context: OpenSink<DatabricksOptions>, note: NoteStep): Promise<OpenedSink> {
  const committer = await committerIn(context, notingWorkspace(context, note))
  return { committer, encodedFiles: 'whole', directories: [] }
}

function notingWorkspace({ target, clock }: OpenSink<DatabricksOptions>, note: NoteStep): Workspace {
  const { sink } = target
  const warehouse = sink.httpPath === undefined ? undefined : notingWarehouse(target, note)
  const http = notingHttp(sink.host, note)
  const tokens = { token: async () => ({ value: '', expiresAtMs: undefined }) }
  const folder = volumeFolderOf(target)
  const zerobusHttp = notingHttp(sink.zerobus?.host ?? '', note)
  const volumeOf = (): Workspace['volume'] => {
    if (folder === undefined) return undefined
    if (sink.upload === 'files-api') return new FilesApiStaging({ folder, http, tokens, clock })
    return warehouse && new SqlVolumeStaging({ folder, warehouse })
  }
  const volume = volumeOf()
  return {
    warehouse,
    volume,
    staging: stagesFiles(sink) ? volume : undefined,
    zerobus:
      sink.mode === 'zerobus'
        ? new ZerobusClient({ table: target.table.name, http: zerobusHttp, tokens, grants: [], clock })
        : undefined,
    api: new WorkspaceApi(http, tokens, () => clock.now()),
    close: async () => {},
  }
}

function notingWarehouse(target: DatabricksTarget, note: NoteStep): StreamingWarehouse {
  const answers = new FirstAnswers(target)
  const execute = async (statement: Statement): Promise<readonly StatementRow[]> => {
    note(statementText(statement))
    return answers.of(statement)
  }
  return {
    location: target.sink.host,
    execute,
    stream: async (statement) => void (await execute(statement)),
    close: async () => {},
  }
}

function statementText({ label, sql, parameters = {} }: Statement): string {
  const values = Object.entries(parameters).map(([name, value]) => `-- :${name} = ${String(value)}\n`)
  return `-- ${label}\n${values.join('')}${sql};`
}

/** The answers of a workspace in which nothing has landed yet, to statements of one row. */
class FirstAnswers {
  readonly #target: DatabricksTarget
  /** The labels of the statements so far. */
  readonly #sent = new Set<string>()

  constructor(target: DatabricksTarget) {
    this.#target = target
  }

  of({ label, parameters }: Statement): readonly StatementRow[] {
    const { sink, table } = this.#target
    const isOwn = parameters?.table === table.name.table.toLowerCase()
    const isThere = isOwn && (!sink.createTable || this.#sent.has('create the table'))
    this.#sent.add(label)
    const found = (is: boolean, row: StatementRow): readonly StatementRow[] => (is ? [row] : [])
    switch (label) {
      case 'read the volumes of a catalog':
      case 'read the schemata of a catalog':
        return [{ found: 1 }]
      case 'find the table':
        return found(isThere, { table_type: 'MANAGED', data_source_format: 'DELTA' })
      case "read the table's columns":
        return table.columns.map(({ name, type }) => ({
          column_name: name,
          full_data_type: databricksTypes[type],
          is_nullable: 'YES',
        }))
      case 'describe the table':
        return [{ properties: JSON.stringify(createdProperties(sink)) }]
      case 'count the rows of ranges':
        return [{ row_count: this.#sent.has('load files') ? 1 : 0 }]
      case 'load files':
      case 'merge rows':
      case 'replace the rows of ranges':
      case 'land a batch':
        return [{ num_inserted_rows: 1, num_affected_rows: 1 }]
      default:
        return []
    }
  }
}

/** The answers of the Files API of an empty volume. */
function notingHttp(host: string, note: NoteStep): Pick<WorkspaceHttp, 'request'> {
  let uploadedBytes = 0
  return {
    request: async ({ method, path, body }: WorkspaceRequest): Promise<WorkspaceAnswer> => {
      note(`-- ${method} https://${host}${path}${typeof body === 'string' ? `\n-- ${body}` : ''}`)
      const isFound = method !== 'GET'
      if (typeof body === 'object') uploadedBytes = body.bytes
      const headers = method === 'HEAD' ? { 'content-length': String(uploadedBytes) } : {}
      return { status: isFound ? 200 : 404, headers, body: '' }
    },
  }
}
