import {
  acceptCompletion,
  autocompletion,
  closeBrackets,
  closeBracketsKeymap,
  completionKeymap,
} from '@codemirror/autocomplete'
import { defaultKeymap, history, historyKeymap } from '@codemirror/commands'
import { PostgreSQL, SQLDialect, sql } from '@codemirror/lang-sql'
import { bracketMatching, HighlightStyle, syntaxHighlighting } from '@codemirror/language'
import { Compartment, EditorState } from '@codemirror/state'
import { drawSelection, EditorView, highlightActiveLine, keymap, placeholder } from '@codemirror/view'
import { tags } from '@lezer/highlight'
import type { JSX } from 'preact'
import { useEffect, useRef } from 'preact/hooks'
import type { TableCatalog } from '../../api.ts'
import { columnCompletions, schemaOf } from './completions.ts'

/** What the rest of the room can do with the text. */
export interface EditorHandle {
  readonly text: () => string
  readonly replace: (text: string) => void
  readonly insert: (text: string) => void
  readonly focus: () => void
}

/**
 * The editor of a statement, with completion of tables, views, columns and functions.
 *
 * It lies in a shadow root: there its styles are style sheets made by script, which the page's Content-Security-Policy
 * allows, unlike style elements.
 */
export function Editor(props: {
  readonly initial: string
  readonly catalog: TableCatalog | undefined
  readonly onRun: () => void
  readonly handle: (handle: EditorHandle) => void
}): JSX.Element {
  const { initial, catalog, onRun, handle } = props
  const frame = useRef<HTMLDivElement>(null)
  const view = useRef<EditorView | undefined>(undefined)
  const language = useRef(new Compartment())
  const run = useRef(onRun)
  run.current = onRun

  // The editor is made once; later changes go to it below.
  useEffect(() => {
    const element = frame.current
    if (element === null) return
    const root = element.shadowRoot ?? element.attachShadow({ mode: 'open' })
    const made = new EditorView({
      root,
      parent: root,
      state: EditorState.create({
        doc: initial,
        extensions: [
          keymap.of([
            {
              key: 'Mod-Enter',
              run: () => {
                run.current()
                return true
              },
            },
            // Only while completions are shown: else Tab leaves the editor, as everywhere.
            { key: 'Tab', run: acceptCompletion },
            ...completionKeymap,
            ...closeBracketsKeymap,
            ...historyKeymap,
            ...defaultKeymap,
          ]),
          history(),
          drawSelection(),
          highlightActiveLine(),
          bracketMatching(),
          closeBrackets(),
          autocompletion({ icons: false }),
          language.current.of(languageOf(catalog)),
          placeholder('SELECT … FROM logs'),
          EditorView.lineWrapping,
          EditorView.contentAttributes.of({ 'aria-label': 'SQL', spellcheck: 'false' }),
          syntaxHighlighting(highlighting),
          theme,
        ],
      }),
    })
    view.current = made
    handle({
      text: () => made.state.doc.toString(),
      replace: (text) => made.dispatch({ changes: { from: 0, to: made.state.doc.length, insert: text } }),
      insert: (text) => {
        made.dispatch(made.state.replaceSelection(text))
        made.focus()
      },
      focus: () => made.focus(),
    })
    return () => made.destroy()
  }, [])

  useEffect(() => {
    view.current?.dispatch({ effects: language.current.reconfigure(languageOf(catalog)) })
  }, [catalog])

  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: a click beside the text goes to it.
    // biome-ignore lint/a11y/useKeyWithClickEvents: the text itself is reached by keyboard.
    <div
      class="editor"
      ref={frame}
      data-search
      tabIndex={-1}
      onFocus={() => view.current?.focus()}
      onClick={() => view.current?.focus()}
    />
  )
}

function languageOf(catalog: TableCatalog | undefined) {
  const support = sql({ dialect: dialectOf(catalog), schema: schemaOf(catalog), upperCaseKeywords: true })
  return catalog === undefined
    ? support
    : [support, support.language.data.of({ autocomplete: columnCompletions(catalog) })]
}

/** Columns such as `message` and `detail` are keywords of PL/pgSQL, which nobody writes here. */
function dialectOf(catalog: TableCatalog | undefined): SQLDialect {
  if (catalog === undefined) return PostgreSQL
  const columns = new Set(catalog.relations.flatMap((relation) => relation.columns.map(({ name }) => name)))
  const { spec } = PostgreSQL
  const keywords = (spec.keywords ?? '').split(' ').filter((word) => !columns.has(word))
  return SQLDialect.define({ ...spec, keywords: keywords.join(' ') })
}

const highlighting = HighlightStyle.define([
  { tag: tags.keyword, color: 'var(--accent)', fontWeight: '560' },
  { tag: [tags.string, tags.special(tags.string)], color: 'var(--good)' },
  { tag: [tags.number, tags.bool, tags.null], color: 'var(--series-2)' },
  { tag: tags.comment, color: 'var(--text-faint)', fontStyle: 'italic' },
  { tag: tags.typeName, color: 'var(--series-3)' },
])

const theme = EditorView.theme({
  '&': { fontSize: '13.5px', color: 'var(--text)', height: '100%' },
  '&.cm-focused': { outline: 'none' },
  '.cm-scroller': { fontFamily: 'var(--mono)', lineHeight: '1.6', overflow: 'auto' },
  '.cm-content': { padding: '12px 4px', caretColor: 'var(--accent)' },
  '.cm-line': { padding: '0 12px' },
  '.cm-activeLine': { backgroundColor: 'transparent' },
  '&.cm-focused .cm-activeLine': { backgroundColor: 'var(--hover)' },
  '.cm-cursor': { borderLeftColor: 'var(--accent)', borderLeftWidth: '2px' },
  '&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground': {
    background: 'color-mix(in srgb, var(--accent) 24%, transparent)',
  },
  '.cm-placeholder': { color: 'var(--text-faint)' },
  '&.cm-focused .cm-matchingBracket': { backgroundColor: 'var(--accent-soft)', outline: 'none' },
  '.cm-tooltip': {
    border: '1px solid var(--line)',
    borderRadius: '8px',
    background: 'var(--raised)',
    boxShadow: 'var(--shadow-raised)',
    overflow: 'hidden',
  },
  '.cm-tooltip.cm-tooltip-autocomplete > ul': {
    fontFamily: 'var(--mono)',
    fontSize: '12.5px',
    maxHeight: '15em',
  },
  '.cm-tooltip.cm-tooltip-autocomplete > ul > li': { padding: '3px 10px', color: 'var(--text)' },
  '.cm-tooltip.cm-tooltip-autocomplete > ul > li[aria-selected]': {
    background: 'var(--accent-soft)',
    color: 'var(--text)',
  },
  '.cm-completionDetail': { color: 'var(--text-faint)', fontStyle: 'normal', marginLeft: '1.2em' },
  '.cm-completionMatchedText': { textDecoration: 'none', fontWeight: '700', color: 'var(--accent-strong)' },
  '.cm-completionInfo': { padding: '6px 10px', maxWidth: '320px', fontSize: '12.5px' },
})
