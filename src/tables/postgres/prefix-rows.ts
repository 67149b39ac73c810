import { formsOf, prefixColumns, textOf } from './forms.ts'
import { type CompiledPrefix, prefixSetting, prefixText, prefixValueOf } from './log-line-prefix.ts'
import { addShape } from './record-shape.ts'
import { addValues } from './record-values.ts'
import { SelectChain } from './select-chain.ts'
import { prefixFields } from './shapes/shape.ts'

/**
 * SQL of how the prefix of each text log's line is read; see `Projection.prefixes`.
 *
 * @param source a relation with the columns of `Projection.select`
 */
export function prefixRows(source: string, prefixes: readonly CompiledPrefix[]): string {
  const chain = new SelectChain(source, [], undefined)
  const forms = formsOf()
  addShape(chain, forms, [])
  addValues(chain, forms, prefixes)
  const { head } = prefixColumns
  const valueIn = prefixValueOf(prefixColumns)
  const values = prefixFields.map((field) => `"${field}" := ${valueIn(field)}`)
  return `SELECT source_offset, coalesce(${textOf('server_name')}, envelope_host) AS server_name,
    ${prefixSetting(head, prefixes)} AS setting, ${prefixText(head)} AS prefix, ${valueIn('level')} AS level,
    to_json(struct_pack(${values.join(', ')}))::VARCHAR AS parts, has_unknown_prefix
    FROM ${chain.from} WHERE ${head} <> '' AND ((${valueIn('level')} IS NOT NULL AND ${valueIn('program')} IS NULL) OR has_unknown_prefix)`
}
