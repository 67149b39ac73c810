import {
  SqlFailure,
  type StatementContext,
  type StatementResult,
  type StatementRows,
  type VolumeFiles,
  type WarehouseEngine,
} from '../../../doubles/workspace/warehouse-engine.ts'

type Answer = (context: StatementContext, statement: string) => StatementResult | Promise<StatementResult>

/** An engine that knows the statements it was told of, and staging; anything else is a mistake of the test. */
export class ScriptedEngine implements WarehouseEngine {
  readonly #files: VolumeFiles
  readonly #answers: { readonly statement: RegExp; readonly answer: Answer }[] = []

  constructor(files: VolumeFiles) {
    this.#files = files
  }

  on(statement: RegExp, answer: Answer): this {
    this.#answers.push({ statement, answer })
    return this
  }

  async execute(statement: string, context: StatementContext): Promise<StatementResult> {
    const scripted = this.#answers.find((each) => each.statement.test(statement))
    if (scripted !== undefined) return scripted.answer(context, statement)
    const put = /^PUT '(.+)' INTO '(.+)'( OVERWRITE)?$/.exec(statement)
    if (put !== null) {
      const [, localFile = '', volumePath = '', overwrites] = put
      if (overwrites === undefined && (await this.#files.read(volumePath)) !== undefined) {
        throw new SqlFailure('FILE_ALREADY_EXISTS', '42K04', `The file ${volumePath} exists.`)
      }
      return { kind: 'staging', operation: 'PUT', localFile, volumePath }
    }
    const remove = /^REMOVE '(.+)'$/.exec(statement)
    if (remove !== null) return { kind: 'staging', operation: 'REMOVE', volumePath: remove[1]! }
    throw new Error(`Not scripted: ${statement}`)
  }
}

/** A result with one column and one row. */
export function oneRow(
  name: string,
  type: StatementRows['columns'][number]['type'],
  value: StatementRows['rows'][number][number],
): StatementRows {
  return { kind: 'rows', columns: [{ name, type }], rows: [[value]] }
}

/** What a statement without rows results in. */
export const nothing: StatementRows = { kind: 'rows', columns: [], rows: [] }
