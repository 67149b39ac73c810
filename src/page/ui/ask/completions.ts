import type {
  Completion,
  CompletionContext,
  CompletionResult,
  CompletionSource,
} from '@codemirror/autocomplete'
import type { SQLNamespace } from '@codemirror/lang-sql'
import type { RelationEntry, TableCatalog } from '../../api.ts'

/** Every name that is offered where a table can stand, and their columns behind a point. */
export function schemaOf(catalog: TableCatalog | undefined): SQLNamespace {
  return Object.fromEntries(
    (catalog?.relations ?? []).map((relation) => [
      // A point in a name would otherwise be read as a level of names.
      relation.name.replaceAll('.', '\\.'),
      {
        self: {
          label: relation.name,
          type: 'class',
          detail: relation.kind,
          info: relation.comment,
          boost: 2,
        },
        children: relation.columns.map(completionOf),
      },
    ]),
  )
}

/**
 * Offers the columns of the relations that the statement names, or of all while it names none, and functions.
 *
 * The completion of the language offers columns only behind a table's name and a point; most statements name one table
 * and write none before its columns.
 */
export function columnCompletions({ relations, functions }: TableCatalog): CompletionSource {
  const functionOptions = functions.map(
    (name): Completion => ({ label: name, type: 'function', apply: `${name}(`, boost: -1 }),
  )
  return (context: CompletionContext): CompletionResult | null => {
    const word = context.matchBefore(/[A-Za-z_][\w]*/)
    if (word === null && !context.explicit) return null
    const from = word?.from ?? context.pos
    if (context.state.sliceDoc(from - 1, from) === '.') return null
    const text = context.state.doc.toString()
    const named = relations.filter((relation) => isNamed(relation, text))
    const options = (named.length > 0 ? named : relations).flatMap(({ columns }) => columns.map(completionOf))
    return { from, options: [...distinct(options), ...functionOptions], validFor: /^\w*$/ }
  }
}

function completionOf({ name, type, comment }: RelationEntry['columns'][number]): Completion {
  return {
    label: name,
    type: 'property',
    detail: type,
    info: comment === '' ? undefined : comment,
    boost: 1,
  } as Completion
}

function isNamed({ name }: RelationEntry, text: string): boolean {
  const at = text.toLowerCase().indexOf(name.toLowerCase())
  if (at < 0) return false
  return !/\w/.test(text[at - 1] ?? '') && !/\w/.test(text[at + name.length] ?? '')
}

function distinct(options: readonly Completion[]): readonly Completion[] {
  return [...new Map(options.map((option) => [option.label, option])).values()]
}
