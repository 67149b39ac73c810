import type { JSX } from 'preact'
import { useCallback, useEffect, useRef, useState } from 'preact/hooks'
import type { About, SqlResult, TableCatalog } from '../../api.ts'
import { Choices, Empty, Failure, Menu } from '../parts/basics.tsx'
import { Icon } from '../parts/icons.tsx'
import { change } from '../state/address.ts'
import { countText, lengthText } from '../state/format.ts'
import { useRequest } from '../state/request.ts'
import { Editor, type EditorHandle } from './editor.tsx'
import { examples } from './examples.ts'
import { Relations } from './relations.tsx'
import { ResultChart } from './result-chart.tsx'
import { ResultTable } from './result-table.tsx'
import { type Statement, useStatement } from './use-statement.ts'

const views = [
  ['table', 'Table'],
  ['chart', 'Chart'],
] as const

/** SQL over the tables and views. */
export function Ask({
  about,
  parameters,
}: {
  readonly about: About
  readonly parameters: URLSearchParams
}): JSX.Element {
  const shownSql = parameters.get('sql') ?? ''
  const editor = useRef<EditorHandle | undefined>(undefined)
  const catalog = useRequest<TableCatalog>('tables')
  const statement = useStatement(shownSql)
  const setHandle = useCallback((handle: EditorHandle) => {
    editor.current = handle
  }, [])
  // The back button brings back the statement, too.
  useEffect(() => {
    if (editor.current !== undefined && editor.current.text() !== shownSql) editor.current.replace(shownSql)
  }, [shownSql])
  if (!about.ask.isAvailable)
    return (
      <Empty title="SQL cannot be used here" room="Ask">
        <p>{about.unavailable}</p>
      </Empty>
    )
  const run = (): void => {
    const sql = editor.current?.text() ?? ''
    if (sql.trim() === '') return
    change({ sql, x: undefined, y: undefined })
    statement.run(sql)
  }
  const insertExample = (sql: string): void => {
    editor.current?.replace(sql)
    editor.current?.focus()
  }
  const view = parameters.get('view') === 'chart' ? 'chart' : 'table'
  return (
    <>
      <h1 class="aside-text">Ask</h1>
      <div class="ask">
        <Relations catalog={catalog} onInsert={(text) => editor.current?.insert(text)} />
        <div class="stack">
          {about.ask.note !== undefined && (
            <p class="note warn">
              <Icon name="warn" /> {about.ask.note}
            </p>
          )}
          <section class="card statement" aria-label="Statement">
            <Editor initial={shownSql} catalog={catalog.data} onRun={run} handle={setHandle} />
            <div class="statement-bar">
              {statement.startedMs === undefined ? (
                <button type="button" class="button main" onClick={run}>
                  <Icon name="play" /> Run
                </button>
              ) : (
                <button type="button" class="button" onClick={statement.cancel}>
                  <Icon name="stop" /> Cancel
                </button>
              )}
              <span class="faint hide-narrow">
                <kbd>Ctrl</kbd> <kbd>Enter</kbd>
              </span>
              {statement.startedMs !== undefined && <Elapsed sinceMs={statement.startedMs} />}
              <span class="statement-end">
                {about.unavailable === undefined && (
                  <Menu label="Examples" class="plain" button="Examples">
                    {(close) => (
                      <Examples
                        class="option"
                        onChoose={(sql) => {
                          close()
                          insertExample(sql)
                        }}
                      />
                    )}
                  </Menu>
                )}
              </span>
            </div>
          </section>
          <section
            class={`card result-card ${statement.startedMs === undefined ? '' : 'progress'}`}
            aria-label="Result"
            aria-busy={statement.startedMs !== undefined}
          >
            <Result
              statement={statement}
              about={about}
              view={view}
              parameters={parameters}
              onExample={insertExample}
            />
          </section>
        </div>
      </div>
    </>
  )
}

function Result(props: {
  readonly statement: Statement
  readonly about: About
  readonly view: 'table' | 'chart'
  readonly parameters: URLSearchParams
  readonly onExample: (sql: string) => void
}): JSX.Element {
  const { statement, about, view, parameters, onExample } = props
  const { result, error, sql } = statement
  if (error !== undefined)
    return (
      <div class="card-body">
        <Failure error={error} />
      </div>
    )
  if (result === undefined)
    return (
      <Empty title={statement.startedMs === undefined ? 'No statement has run' : 'Running …'} icon="ask">
        <p>
          One SELECT at a time, over the tables and views of the list. It ends after{' '}
          {lengthText(about.limits.maxSqlMs)} and shows at most {countText(about.limits.maxSqlRows)} rows; an
          export has all of them.
        </p>
        {about.unavailable === undefined && statement.startedMs === undefined && (
          <div class="first-examples">
            <Examples class="button small" onChoose={onExample} />
          </div>
        )}
      </Empty>
    )
  return (
    <>
      <div class="card-head result-head">
        <h2>Result</h2>
        <span class="soft number" role="status">
          {summaryOf(result)}
        </span>
        <Choices
          label="Show the result as"
          value={view}
          options={views}
          onChoose={(one) => change({ view: one === 'table' ? undefined : one }, 'replace')}
        />
        {sql !== undefined && <Export sql={sql} />}
      </div>
      {result.isCut && (
        <p class="note result-note">
          <Icon name="warn" /> Only the first {countText(result.rows.length)} rows are shown. An export has
          all of them.
        </p>
      )}
      {result.rows.length === 0 ? (
        <Empty title="The statement found no row">
          <p>Its columns: {result.columns.map(({ name }) => name).join(', ')}.</p>
        </Empty>
      ) : view === 'chart' ? (
        <ResultChart result={result} parameters={parameters} />
      ) : (
        <ResultTable result={result} />
      )}
    </>
  )
}

function summaryOf({ rows, isCut, elapsedMs }: SqlResult): string {
  const count = `${isCut ? 'more than ' : ''}${countText(rows.length)} ${rows.length === 1 ? 'row' : 'rows'}`
  return `${count} in ${lengthText(elapsedMs)}`
}

function Export({ sql }: { readonly sql: string }): JSX.Element {
  return (
    <Menu
      label="Export the whole result"
      class="small"
      button={
        <>
          <Icon name="download" /> Export
        </>
      }
    >
      {(close) =>
        (['csv', 'parquet', 'json'] as const).map((format) => (
          <a
            key={format}
            class="option"
            href={`api/sql/export?${new URLSearchParams({ sql, format, name: 'result' })}`}
            download={`result.${format}`}
            onClick={close}
          >
            {format === 'parquet' ? 'Parquet' : format.toUpperCase()}
          </a>
        ))
      }
    </Menu>
  )
}

function Examples(props: { readonly class: string; readonly onChoose: (sql: string) => void }): JSX.Element {
  return (
    <>
      {examples.map(({ title, sql }) => (
        <button type="button" class={props.class} key={title} onClick={() => props.onChoose(sql)}>
          {title}
        </button>
      ))}
    </>
  )
}

/** How long the statement has run. */
function Elapsed({ sinceMs }: { readonly sinceMs: number }): JSX.Element {
  const [nowMs, setNowMs] = useState(Date.now())
  useEffect(() => {
    const timer = setInterval(() => setNowMs(Date.now()), 100)
    return () => clearInterval(timer)
  }, [])
  return <span class="soft number">{(Math.max(0, nowMs - sinceMs) / 1_000).toFixed(1)} s</span>
}
