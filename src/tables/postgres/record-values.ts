import { stringColumns } from './columns.ts'
import {
  byShape,
  type Form,
  lineColumn,
  mayBeNested,
  prefixColumns,
  shapeNumber,
  textOf,
  typesOf,
} from './forms.ts'
import {
  type CompiledPrefix,
  prefixHead,
  prefixRest,
  prefixValueOf,
  prefixValues,
} from './log-line-prefix.ts'
import { joinedKeys, withoutKeys } from './other-keys.ts'
import type { SelectChain } from './select-chain.ts'
import { lineOf } from './shapes/log-text.ts'
import { textFields } from './shapes/shape.ts'

const textNumbers = ['azure-diagnostics', 'log-analytics', 'cloud-sql', 'log-text']
  .map(shapeNumber)
  .join(', ')

/** Adds the values of a prefix, and one text per field, for every shape. The columns of `addShape` are there. */
export function addValues(
  chain: SelectChain,
  forms: readonly Form[],
  prefixes: readonly CompiledPrefix[],
): void {
  const lists = forms.flatMap(({ list }, number) =>
    list === undefined || list.isEmpty ? [] : [[number, list.extract('body')] as const],
  )
  chain.add({
    list: `CASE WHEN clue_list IS NOT NULL THEN clue_list ELSE ${byShape(lists)} END`,
    [lineColumn]: lineOf('line_text'),
  })
  const carriers = forms.flatMap(({ prefixed }, number) =>
    prefixed === undefined ? [] : [[number, prefixed] as const],
  )
  const { whole, head, values, rest } = prefixColumns
  chain.add({
    [whole]: byShape(carriers),
    [head]: byShape(carriers.map(([number, text]) => [number, prefixHead(text)])),
  })
  chain.add({
    [values]: `CASE WHEN ${whole} IS NOT NULL THEN ${prefixValues(head, prefixes, `shape = ${shapeNumber('log-text')}`)} END`,
  })
  chain.add({ [rest]: prefixRest(prefixColumns) })
  chain.add(
    Object.fromEntries(
      textFields.map((field) => [
        textOf(field),
        byShape(
          forms.flatMap(({ fields }, number) =>
            fields[field] === undefined ? [] : [[number, fields[field]]],
          ),
        ),
      ]),
    ),
  )
  const branchesOf = (part: 'removal' | 'partly') =>
    forms.flatMap((form, number) => (form[part] === undefined ? [] : [[number, form[part]] as const]))
  const removal = `CASE WHEN inner_removal IS NOT NULL THEN inner_removal ELSE ${byShape(branchesOf('removal'))} END`
  chain.add({
    whole_keys: withoutKeys('body', removal),
    partly_keys: byShape(branchesOf('partly')),
    types: `CASE WHEN ${stringColumns.map((name) => mayBeNested(textOf(name))).join(' OR ')} THEN ${typesOf(forms)} END`,
    // Text whose prefix has a part without a known meaning, or that begins with a time but has no level.
    has_unknown_prefix: `shape IN (${textNumbers}) AND CASE WHEN ${values} IS NULL
      THEN ${textOf('severity')} IS NULL AND regexp_matches(left(${whole}, 5), '^\\d{4}-')
      ELSE ${prefixValueOf(prefixColumns)('unknown')} IS NOT NULL END`,
  })
  chain.add({ own_keys: joinedKeys('whole_keys', 'partly_keys') })
}
