import { sqlString } from '../sql.ts'
import { withMarkedNumbers } from './expressions/exact-numbers.ts'
import { constantList, jsonPath, jsonStruct, withoutLoneSurrogates } from './expressions/json.ts'
import { type ExtraColumn, extraTexts } from './extra-column.ts'
import { beginsObject, byShape, type Form, shapeNumber, shapeOf, ValueStruct } from './forms.ts'
import { removalPatch, withoutKeys } from './other-keys.ts'
import type { SelectChain } from './select-chain.ts'
import { envelopeRecord, envelopeText, recordRemoval, textRemoval } from './shapes/envelope.ts'
import { shapes } from './shapes/index.ts'
import { jsonlog } from './shapes/jsonlog.ts'
import { envelopeHost, envelopeTime, outerTime, partHead } from './shapes/log-text.ts'
import type { ValueAt } from './shapes/shape.ts'
import { namesNoHost } from './usual-jsonlog.ts'

/** Number of the usual form: jsonlog with its first key first. The shapes are numbered from 1. */
const plainJsonlog = 0
const logTextNumber = shapeNumber('log-text')
const csvTextNumber = shapeNumber('csv-text')
/** Shapes whose records may have the keys of an envelope beside their own, as what forwards them can merge both. */
const mergedNumbers = ['jsonlog', 'csvlog', 'csv-text'].map(shapeNumber).join(', ')
const lineNumbers = [csvTextNumber, shapeNumber('test-decoding-text'), logTextNumber].join(', ')
const exactNumbers = shapes
  .flatMap(({ hasExactNumbers }, index) => (hasExactNumbers === true ? [index + 1] : []))
  .join(', ')
const azureNumbers = ['azure-diagnostics', 'azure-pooler', 'azure-statistics'].map(shapeNumber)

/**
 * Adds the columns `shape`, `body` (the text that has the record's values), `keys` (the values of usual jsonlog), `clue_list`
 * (the values that are read with the clues), `line_text` (the text inside an envelope), `extra`, `envelope_keys`,
 * `inner_removal` (what `line_text` leaves of the envelope inside another), and `is_unread` for a record whose values are in a text that is not read.
 */
export function addShape(
  chain: SelectChain,
  forms: readonly Form[],
  extraColumns: readonly ExtraColumn[],
): void {
  const clues = new ValueStruct('clues')
  // First of all, because it adds to the clues.
  const outerShape = shapeOf(withProperties(clues.at, 'properties_text'), 'envelope_text')
  const clueLists = forms.flatMap(({ list, isClue }, number) =>
    list === undefined || isClue !== true ? [] : [[number, list.from(clues.at)] as const],
  )
  const inside = envelopeRecord(clues.at)
  const text = envelopeText(clues.at)
  const host = envelopeHost(clues.at)
  const time = envelopeTime(clues.at)
  const [plain] = forms
  // `json_valid` costs 5 %. TRY would be cheaper for good lines, but for a bad one it evaluates the 2,048 lines around it
  // one by one: with one bad line in 3,000, that was nine times slower.
  chain.add({
    doc: `CASE WHEN json_valid(text) THEN text
             WHEN regexp_matches(text, '\\\\u[dD][89a-fA-F]') THEN
               CASE WHEN json_valid(${withoutLoneSurrogates('text')}) THEN ${withoutLoneSurrogates('text')} END END`,
  })
  // PostgreSQL writes this key first, so most lines are parsed once, with the keys of this shape only.
  const extra = `CASE WHEN doc IS NOT NULL THEN json_extract_string(doc, ${extraTexts(extraColumns).paths}) END`
  chain.add({
    keys: `CASE WHEN starts_with(doc, '{"timestamp":') THEN ${jsonStruct('doc', plain!.keys)} END`,
    ...(extraColumns.length > 0 ? { extra } : {}),
  })
  // A name of the server beside the keys is read like that of an envelope.
  const isPlain = `CASE WHEN ${jsonlog.matches(plain!.at, 'NULL')} THEN ${namesNoHost('doc', plain!.at('query_id'))} ELSE false END`
  chain.add({ is_plain: isPlain, ...clues.columns(`CASE WHEN NOT (${isPlain}) THEN doc END`) })
  const azureKeys = azureNumbers.flatMap((number) => forms[number]!.list?.topKeys ?? [])
  const otherKeys = [...new Set(azureKeys)].filter((key) => key !== 'properties')
  const othersOf = (record: string, text: string): string =>
    `CASE WHEN starts_with(${text}, '{') AND ${text} <> '{' THEN
      CASE WHEN json_valid(${text}) THEN json_extract(${record}, ${constantList(otherKeys.map((key) => jsonPath([key])))}) END END`
  const joined = (text: string, others: string): string => {
    const values = otherKeys.map((key, index) => `${sqlString(key)}, ${others}[${index + 1}]`)
    return `'{"properties":' || ${text} || ',' || substring(json_object(${values.join(', ')})::VARCHAR, 2)`
  }
  const isObject = `${clues.at('properties', 'message')} IS NOT NULL OR ${clues.at('properties', 'timestamp')} IS NOT NULL`
  chain.add({
    properties_text: `CASE WHEN ${clues.at('category')} IS NULL THEN NULL WHEN ${isObject} THEN '{' ELSE ${propertiesText('doc')} END`,
    inside,
    envelope_text: text,
  })
  const object = `CASE WHEN starts_with(inside, '{') THEN inside WHEN ${beginsObject('inside')} THEN ltrim(inside) END`
  chain.add({
    outer_shape: `CASE WHEN is_plain THEN ${plainJsonlog} WHEN ${beginsObject('doc')} THEN ${outerShape} END`,
    wrapped: `CASE WHEN json_valid(${object}) THEN ${object} END`,
    // Some writers store the object as a JSON string. Their record is put together again of it and the other keys.
    others: othersOf('doc', 'properties_text'),
  })
  // Only one level of records inside records is read; `is_unread` marks a deeper one.
  const inner = new ValueStruct('inner_clues')
  const innerText = envelopeText(inner.at)
  const innerShape = shapeOf(withProperties(inner.at, 'inner_properties'), 'inner_text')
  const isDeep = `${['log', 'message'].map((key) => `starts_with(${inner.at(key)}, '{')`).join(' OR ')}
    OR ${hasUnreadRecord(inner.at, 'wrapped')}`
  const isWrapped = `outer_shape = ${logTextNumber} AND wrapped IS NOT NULL`
  chain.add({
    // Here, so that the struct is in the vectors of few steps.
    outer_list: byShape(clueLists, 'outer_shape'),
    has_record: `outer_shape = ${logTextNumber} AND ${hasUnreadRecord(clues.at, 'doc')}`,
    envelope_host: `CASE WHEN ${isWrapped} OR outer_shape IN (${mergedNumbers}) THEN ${host} END`,
    [outerTime]: `CASE WHEN ${isWrapped} THEN ${time} END`,
    text_removal: `CASE WHEN outer_shape IN (${lineNumbers}) THEN ${textRemoval(clues.at)}
      WHEN others IS NOT NULL THEN ${sqlString(removalPatch([['properties'], ...otherKeys.map((key) => [key])]))} END`,
    record_removal: `CASE WHEN ${isWrapped} THEN ${recordRemoval(clues.at)} END`,
  })
  // The values of the outer record are read: of a long one, the texts inside follow in a step of their own.
  chain.endStep(
    [
      'outer_shape',
      'outer_list',
      'has_record',
      'text_removal',
      'record_removal',
      'envelope_host',
      outerTime,
      'keys',
      'properties_text',
      'others',
      `CASE WHEN outer_shape IN (${lineNumbers}) THEN envelope_text END AS envelope_text`,
      `CASE WHEN ${isWrapped} THEN wrapped END AS wrapped`,
      ...(extraColumns.length > 0 ? ['extra'] : []),
    ],
    'doc',
  )
  chain.add({
    ...inner.columns(`CASE WHEN ${isWrapped} THEN wrapped END`),
    inner_properties: `CASE WHEN ${isWrapped} THEN ${propertiesText('wrapped')} END`,
    properties: `CASE WHEN others IS NOT NULL THEN ${joined('properties_text', 'others')} END`,
  })
  chain.add({
    inner_text: `CASE WHEN ${isWrapped} THEN ${innerText} END`,
    inner_category: inner.at('category'),
    is_deep: `CASE WHEN ${isWrapped} THEN coalesce(${isDeep}, false) END`,
    inner_others: othersOf('wrapped', 'inner_properties'),
    inner_text_removal: `CASE WHEN ${isWrapped} THEN ${textRemoval(inner.at)} END`,
  })
  const azure = azureNumbers.join(', ')
  const isInner = `(inner_shape < ${logTextNumber} OR (inner_shape = ${logTextNumber} AND NOT is_deep))`
  chain.add({ inner_shape: `CASE WHEN ${isWrapped} THEN ${innerShape} END` })
  const isJoined = `inner_shape IN (${azure}) AND inner_others IS NOT NULL`
  // The texts of both records are read. The body of a long one may be put together of them, which is one more copy.
  chain.endStep(
    [
      'outer_shape',
      'outer_list',
      'has_record',
      'text_removal',
      'record_removal',
      'envelope_host',
      outerTime,
      'keys',
      'properties_text',
      'others',
      'properties',
      'inner_shape',
      'inner_category',
      'inner_properties',
      'inner_others',
      'is_deep',
      `CASE WHEN inner_shape IN (${lineNumbers}) THEN inner_text END AS inner_text`,
      'inner_text_removal',
      `CASE WHEN ${isInner} THEN NULL ELSE envelope_text END AS envelope_text`,
      `CASE WHEN ${isJoined} THEN NULL ELSE wrapped END AS wrapped`,
      ...(extraColumns.length > 0 ? ['extra'] : []),
    ],
    'doc',
  )
  // Text that only begins like an object has no values to read.
  const isCutOff = (shape: string, text: string, others: string): string =>
    `${shape} IN (${azure}) AND ${text} <> '{' AND ${others} IS NULL`
  const isOtherAzure = 'inner_shape IS NULL AND inner_category IS NOT NULL AND inner_properties IS NOT NULL'
  chain.add({
    envelope_keys: withoutKeys('doc', `CASE WHEN ${isInner} THEN record_removal ELSE text_removal END`),
    shape: `CASE WHEN ${isCutOff('inner_shape', 'inner_properties', 'inner_others')} THEN NULL
      WHEN ${isInner} THEN inner_shape
      WHEN ${isCutOff('outer_shape', 'properties_text', 'others')} THEN NULL
      ELSE outer_shape END`,
    body: `CASE WHEN ${isInner} THEN
        CASE WHEN ${isJoined} THEN ${joined('inner_properties', 'inner_others')}
          WHEN inner_shape IN (${exactNumbers}) THEN ${withMarkedNumbers('wrapped')} ELSE wrapped END
      WHEN outer_shape IN (${azure}) AND properties IS NOT NULL THEN properties
      WHEN outer_shape IN (${exactNumbers}) THEN ${withMarkedNumbers('doc')} ELSE doc END`,
    clue_list: `CASE WHEN ${isInner} OR properties IS NOT NULL THEN NULL ELSE outer_list END`,
    line_text: `CASE WHEN ${isInner} THEN CASE WHEN inner_shape IN (${lineNumbers}) THEN inner_text END
        WHEN outer_shape IN (${lineNumbers}) THEN envelope_text END`,
    inner_removal: `CASE WHEN ${isInner} AND inner_shape IN (${lineNumbers}) THEN inner_text_removal END`,
    is_unread: `coalesce(${isOtherAzure} OR (inner_shape = ${logTextNumber} AND is_deep) OR has_record
      OR ${isPart('outer_shape', 'envelope_text')} OR ${isPart('inner_shape', 'inner_text')}, false)`,
  })
}

/** SQL of whether a container runtime marks a text as a part of a longer line. */
function isPart(shape: string, text: string): string {
  return `coalesce(CASE WHEN ${shape} IN (${lineNumbers}) THEN regexp_matches(left(${text}, 64), ${sqlString(`^${partHead}`)}) END, false)`
}

/** SQL of whether a record's key `record` has an object, or one in a string. @param text SQL of the record */
function hasUnreadRecord(at: ValueAt, text: string): string {
  return `CASE WHEN ${at('record')} IS NOT NULL THEN starts_with(json_extract_string(${text}, '$."record"'), '{') ELSE false END`
}

/** SQL of a record's key `properties`: `{` for an object, because extracting it would write its text again. */
function propertiesText(text: string): string {
  const path = `'$."properties"'`
  return `CASE json_type(${text}, ${path}) WHEN 'OBJECT' THEN '{' WHEN 'VARCHAR' THEN json_extract_string(${text}, ${path}) END`
}

/** @returns a function that gives SQL of values, and other SQL for the key `properties` */
function withProperties(at: ValueAt, properties: string): ValueAt {
  return (...keys) => (keys.join() === 'properties' ? properties : at(...keys))
}
