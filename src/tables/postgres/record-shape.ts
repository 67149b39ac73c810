import { sqlString } from '../sql.ts'
import { jsonPath } from './expressions/json.ts'
import { beginsObject, type Form, shapeNumber, shapeOf, ValueList } from './forms.ts'
import type { SelectChain } from './select-chain.ts'
import type { ValueAt } from './shapes/shape.ts'

/** Number of the usual form: jsonlog with its first key first. The shapes are numbered from 1. */
const plainJsonlog = 0
const logTextNumber = shapeNumber('log-text')
const azureNumbers = ['azure-diagnostics', 'azure-pooler', 'azure-statistics'].map(shapeNumber)

/** @returns SQL of the shape of the record itself, for `addShape`; it adds to the list of clues */
export function outerShapeOf(clues: ValueList): string {
  return shapeOf(withProperties(clues, 'properties_text'))
}

/**
 * Adds the column `shape`, `body` with the text that has the record's values, and `is_unread` for a record whose values
 * are in a text that is not read.
 *
 * @param outer the list of clues
 */
export function addShape(
  chain: SelectChain,
  forms: readonly Form[],
  outer: ValueList,
  outerShape: string,
): void {
  // Beats and Logstash have an object of their own under `log`, beside the text or the decoded record.
  const inside = `CASE WHEN starts_with(${outer.at('json')}, '{') THEN ${outer.at('json')}
    WHEN ${outer.at('message')} IS NOT NULL AND starts_with(${outer.at('log')}, '{') THEN ${outer.at('message')}
    ELSE coalesce(${outer.at('log')}, ${outer.at('message')}, ${outer.at('LogMessage')}, ${outer.at('LogEntry')}, ${outer.at('MESSAGE')}) END`
  const azureKeys = azureNumbers.flatMap((number) => forms[number]!.list?.topKeys ?? [])
  const otherKeys = [...new Set(azureKeys)].filter((key) => key !== 'properties')
  const othersOf = (record: string, text: string): string =>
    `CASE WHEN starts_with(${text}, '{') AND ${text} <> '{' THEN
      CASE WHEN json_valid(${text}) THEN json_extract(${record}, [${otherKeys.map((key) => sqlString(jsonPath([key]))).join(', ')}]) END END`
  const joined = (text: string, others: string): string => {
    const values = otherKeys.map((key, index) => `${sqlString(key)}, ${others}[${index + 1}]`)
    return `'{"properties":' || ${text} || ',' || substring(json_object(${values.join(', ')})::VARCHAR, 2)`
  }
  // A column of its own, because each use of a list's value copies it.
  chain.add({
    properties_text: `CASE WHEN ${outer.at('category')} IS NOT NULL THEN ${propertiesText('doc')} END`,
    inside,
  })
  const object = `CASE WHEN starts_with(inside, '{') THEN inside WHEN ${beginsObject('inside')} THEN ltrim(inside) END`
  chain.add({
    outer_shape: `CASE WHEN is_plain THEN ${plainJsonlog} WHEN ${beginsObject('doc')} THEN ${outerShape} END`,
    wrapped: `CASE WHEN json_valid(${object}) THEN ${object} END`,
    // Some writers store the object as a JSON string. Their record is put together again of it and the other keys.
    others: othersOf('doc', 'properties_text'),
  })
  // Only one level of records inside records is read; `is_unread` marks a deeper one.
  const inner = new ValueList('inner_clues')
  const innerShape = shapeOf(withProperties(inner, 'inner_properties'))
  const isOtherAzure = `inner_shape IS NULL AND ${inner.at('category')} IS NOT NULL AND inner_properties IS NOT NULL`
  const deeper = ['log', 'message', 'record'].map((key) => `starts_with(${inner.at(key)}, '{')`).join(' OR ')
  const isWrapped = `outer_shape = ${logTextNumber} AND wrapped IS NOT NULL`
  chain.add({
    inner_clues: `CASE WHEN ${isWrapped} THEN ${inner.extract('wrapped')} END`,
    inner_properties: `CASE WHEN ${isWrapped} THEN ${propertiesText('wrapped')} END`,
    properties: `CASE WHEN others IS NOT NULL THEN ${joined('properties_text', 'others')} END`,
  })
  chain.add({
    inner_shape: `CASE WHEN inner_clues IS NOT NULL THEN ${innerShape} END`,
    inner_others: othersOf('wrapped', 'inner_properties'),
  })
  const azure = azureNumbers.join(', ')
  // Text that only begins like an object has no values to read.
  const isCutOff = (shape: string, text: string, others: string): string =>
    `${shape} IN (${azure}) AND ${text} <> '{' AND ${others} IS NULL`
  chain.add({
    shape: `CASE WHEN ${isCutOff('inner_shape', 'inner_properties', 'inner_others')} THEN NULL
      WHEN inner_shape < ${logTextNumber} THEN inner_shape
      WHEN ${isCutOff('outer_shape', 'properties_text', 'others')} THEN NULL
      ELSE outer_shape END`,
    body: `CASE WHEN inner_shape < ${logTextNumber} THEN
        CASE WHEN inner_shape IN (${azure}) AND inner_others IS NOT NULL THEN ${joined('inner_properties', 'inner_others')} ELSE wrapped END
      WHEN outer_shape IN (${azure}) AND properties IS NOT NULL THEN properties ELSE doc END`,
    is_unread: `coalesce(${isOtherAzure} OR (inner_shape = ${logTextNumber} AND (${deeper})) OR (outer_shape = ${logTextNumber} AND starts_with(${outer.at('record')}, '{')), false)`,
  })
}

/** SQL of a record's key `properties`: `{` for an object, because extracting it would write its text again. */
function propertiesText(text: string): string {
  const path = `'$."properties"'`
  return `CASE json_type(${text}, ${path}) WHEN 'OBJECT' THEN '{' WHEN 'VARCHAR' THEN json_extract_string(${text}, ${path}) END`
}

/** @returns a function that gives SQL of a list's values, and other SQL for the key `properties` */
function withProperties(list: ValueList, properties: string): ValueAt {
  return (...keys) => (keys.join() === 'properties' ? properties : list.at(...keys))
}
