import type { JSX } from 'preact'
import { useState } from 'preact/hooks'
import type { RelationEntry, TableCatalog } from '../../api.ts'
import { Failure, Waiting } from '../parts/basics.tsx'
import { Icon } from '../parts/icons.tsx'
import type { Requested } from '../state/request.ts'

/** The tables and views with their columns; a click writes the name into the statement. */
export function Relations({
  catalog,
  onInsert,
}: {
  readonly catalog: Requested<TableCatalog>
  readonly onInsert: (text: string) => void
}): JSX.Element {
  const { data, error, reload } = catalog
  const [word, setWord] = useState('')
  const searched = word.trim().toLowerCase()
  const shown = (data?.relations ?? [])
    .filter(
      ({ name, columns }) =>
        name.toLowerCase().includes(searched) || columns.some((column) => column.name.includes(searched)),
    )
    .toSorted((a, b) => placeInList(a) - placeInList(b))
  return (
    <section class="card relations" aria-label="Tables and views">
      <input
        class="field"
        type="search"
        aria-label="Tables, views and columns whose name contains"
        placeholder="Tables, views, columns"
        value={word}
        onInput={({ currentTarget }) => setWord(currentTarget.value)}
      />
      {error !== undefined && <Failure error={error} retry={reload} />}
      {data === undefined ? (
        error === undefined && <Waiting height={320} />
      ) : (
        <ul>
          {shown.map((relation) => (
            <Relation key={relation.name} relation={relation} onInsert={onInsert} />
          ))}
          {shown.length === 0 && <li class="soft">No name contains this.</li>}
        </ul>
      )}
    </section>
  )
}

/** All records and the views first: single tables have several long names each, and are seldom asked. */
function placeInList({ name, kind }: RelationEntry): number {
  return name === 'logs' ? 0 : kind === 'view' ? 1 : 2
}

function Relation({
  relation,
  onInsert,
}: {
  readonly relation: RelationEntry
  readonly onInsert: (text: string) => void
}): JSX.Element {
  const { name, kind, comment, columns } = relation
  return (
    <li>
      <details>
        <summary title={comment}>
          <Icon name="right" size={13} />
          <span class="mono relation-name">
            {name.split(/(?<=[._])/).map((part, index) => (
              <>
                {index > 0 && <wbr />}
                {part}
              </>
            ))}
          </span>
          <span class="faint relation-kind">{kind}</span>
        </summary>
        <div class="relation-body">
          {comment !== '' && <p class="soft">{comment}</p>}
          <button type="button" class="button small" onClick={() => onInsert(name)}>
            Insert the name
          </button>
          <ul>
            {columns.map((column) => (
              <li key={column.name}>
                <button
                  type="button"
                  class="column-name"
                  title={column.comment}
                  onClick={() => onInsert(column.name)}
                >
                  <span class="mono">{column.name}</span>
                  <span class="faint mono">{column.type.toLowerCase()}</span>
                </button>
              </li>
            ))}
          </ul>
        </div>
      </details>
    </li>
  )
}
