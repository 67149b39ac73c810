import { TailraceError } from '../../errors.ts'
import { isJsonObject, parseJson, stringifyJson } from '../../json.ts'
import type { Column } from '../../tables/table.ts'
import type { DeltaAction, MetaDataAction } from './delta-action.ts'
import { newField, schemaFields } from './table-schema.ts'

/**
 * How a table's schema stood when a commit was planned, and what the commit adds to it: the columns of the
 * declaration that the table lacks.
 */
export class SchemaPlan {
  /** The schema that the commit's rows will be read with. */
  readonly metaData: MetaDataAction
  /** Empty where the table has every column. */
  readonly actions: readonly DeltaAction[]
  readonly #base: MetaDataAction
  readonly #columns: readonly Column[]

  /** @param columns those that the rows of the commit have; none for a commit without rows */
  constructor(base: MetaDataAction, columns: readonly Column[]) {
    this.#base = base
    this.#columns = columns
    const missing = missingColumns(base, columns)
    this.metaData = missing.length === 0 ? base : withColumns(base, missing)
    this.actions = missing.length === 0 ? [] : [{ metaData: this.metaData }]
  }

  /**
   * Whether another writer's schema came first and this commit would undo it, or leave rows with columns that the
   * table does not have: a `metaData` action replaces all of the one before.
   */
  isOutdatedBy(current: MetaDataAction): boolean {
    if (current === this.#base) return false
    return this.actions.length > 0 || missingColumns(current, this.#columns).length > 0
  }
}

function missingColumns(metaData: MetaDataAction, columns: readonly Column[]): Column[] {
  const known = new Set(schemaFields(metaData).map(({ name }) => name))
  return columns.filter(({ name }) => !known.has(name))
}

/** Everything else stays as it was found: the id, the properties, and every field with its own metadata. */
function withColumns(metaData: MetaDataAction, columns: readonly Column[]): MetaDataAction {
  const schema = parseJson(metaData.schemaString)
  if (!isJsonObject(schema) || !Array.isArray(schema.fields)) {
    throw new TailraceError('TABLE_CORRUPT', 'The schema of the table cannot be read.')
  }
  const { provider, options = {} } = metaData.format
  return {
    ...metaData,
    // A checkpoint is read without the options, which other readers insist on.
    format: { provider, options },
    configuration: metaData.configuration ?? {},
    schemaString: stringifyJson({ ...schema, fields: [...schema.fields, ...columns.map(newField)] }),
  }
}
