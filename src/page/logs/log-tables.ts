import { isTailraceError, TailraceError } from '../../errors.ts'
import type { FilesRead, QuerySession, SessionStatement } from '../../sinks/query-session.ts'
import type { SinkTarget } from '../../sinks/sink.ts'
import { logViews } from '../../tables/postgres/views/log-views.ts'
import type { FoundTable, LogTable } from './found-tables.ts'
import { timeColumn } from './record-filter.ts'
import { smallResult } from './small-result.ts'

type Row = Readonly<Record<string, unknown>>

/** The tables of a config with the engines that read them. */
export class LogTables {
  readonly session: QuerySession
  /** Tables of PostgreSQL logs, each once. */
  readonly all: readonly LogTable[]

  /**
   * @param targets the tables of the session
   * @param tableId is the same for two targets exactly if they have the same table
   */
  constructor(
    session: QuerySession,
    targets: readonly SinkTarget[],
    { tableId, relationOf }: Record<'tableId' | 'relationOf', (target: SinkTarget) => string>,
  ) {
    this.session = session
    const tables = new Map<string, SinkTarget[]>()
    for (const target of targets.filter(({ table }) => table.views === logViews)) {
      const id = tableId(target)
      tables.set(id, [...(tables.get(id) ?? []), target])
    }
    this.all = Array.from(tables, ([place, same]) => {
      const [first] = same as [SinkTarget, ...SinkTarget[]]
      return {
        id: first.name,
        name: Object.values(first.table.name).join('.'),
        // Tables of earlier releases lack these columns.
        relation: `(SELECT NULL::VARCHAR AS record_kind, NULL::VARCHAR AS event WHERE false UNION ALL BY NAME FROM ${relationOf(first)})`,
        place,
        pipelines: same.map(({ name }) => name),
        pipelineOf: (blob) => same.find(({ landsBlob }) => landsBlob(blob))?.name,
      }
    })
  }

  /**
   * @param ids of the wanted tables; none: all
   * @returns those that exist
   * @throws USAGE for an id that no table has
   */
  async find(ids: readonly string[] = []): Promise<readonly FoundTable[]> {
    const unknown = ids.find((id) => !this.all.some((table) => table.id === id))
    if (unknown !== undefined) {
      const names = this.all.map(({ id }) => id).join(', ')
      throw new TailraceError('USAGE', `No table ${JSON.stringify(unknown)}; there are: ${names}.`)
    }
    const wanted = this.all.filter(({ id }) => ids.length === 0 || ids.includes(id))
    const found: FoundTable[] = []
    for (const table of wanted) {
      const files = await this.session.files(table.id, timeColumn)
      if (files !== undefined) found.push({ ...table, files })
    }
    return found
  }

  /** Runs a statement whose result is small. @param part of the rows that it reads; default: all */
  rows(
    sql: string,
    signal: AbortSignal,
    part: Pick<SessionStatement, 'within' | 'only'> = {},
  ): Promise<{ rows: Row[]; reading: FilesRead }> {
    return smallResult(this.session, { ...part, sql, signal })
  }
}

/** @returns whether a statement was ended by a signal */
export function isEnded(error: unknown): boolean {
  return error instanceof Error && !isTailraceError(error) && /^(?:Abort|Timeout)Error$/.test(error.name)
}
