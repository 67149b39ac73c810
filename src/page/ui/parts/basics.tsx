import type { ComponentChildren, JSX } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import { shownText } from '../state/format.ts'
import type { RequestError } from '../state/request.ts'
import { Icon, type IconName } from './icons.tsx'

/** A part of a room with a heading. */
export function Card(props: {
  readonly title: string
  readonly count?: string | undefined
  readonly actions?: ComponentChildren
  readonly id?: string | undefined
  readonly class?: string | undefined
  readonly children: ComponentChildren
}): JSX.Element {
  const { title, count, actions, id, children } = props
  return (
    <section class={`card ${props.class ?? ''}`} aria-label={title} id={id}>
      <div class="card-head">
        <h2>
          {title}
          {count !== undefined && <span class="count number">{count}</span>}
        </h2>
        {actions}
      </div>
      {children}
    </section>
  )
}

/** Says that there is nothing, why, and what to do. */
export function Empty(props: {
  readonly title: string
  readonly icon?: IconName
  /** The name of a room of which this is all, as its heading. */
  readonly room?: string
  readonly children?: ComponentChildren
}): JSX.Element {
  return (
    <div class="empty">
      {props.room !== undefined && <h1 class="aside-text">{props.room}</h1>}
      <Icon name={props.icon ?? 'empty'} size={26} />
      <strong>{props.title}</strong>
      {props.children}
    </div>
  )
}

/** A failure with its remedy. */
export function Failure({
  error,
  retry,
}: {
  readonly error: RequestError
  readonly retry?: () => void
}): JSX.Element {
  return (
    // What the reader ended is no fault.
    <div class={`note ${error.code === 'CANCELED' ? '' : 'bad'}`} role="alert">
      <Icon name={error.code === 'CANCELED' ? 'stop' : 'warn'} />
      <div>
        {/* The engine marks the place of a mistake below its line. */}
        {error.message.includes('\n') ? (
          <pre class="failure-text" tabIndex={0}>
            {shownText(error.message)}
          </pre>
        ) : (
          <p>
            <strong>{shownText(error.message)}</strong>
          </p>
        )}
        <p>{error.hint}</p>
        <p class="faint mono">{error.code}</p>
      </div>
      {retry !== undefined && (
        <button type="button" class="button small actions" onClick={retry}>
          Try again
        </button>
      )}
    </div>
  )
}

/** Holds the place of what is being fetched. */
export function Waiting({ height }: { readonly height: number }): JSX.Element {
  return (
    <div class="waiting" style={{ height: `${height}px` }}>
      <span class="aside-text">Loading</span>
    </div>
  )
}

/** A choice of one among few. */
export function Choices<Value extends string>(props: {
  readonly label: string
  readonly value: Value
  readonly options: readonly (readonly [value: Value, text: string])[]
  readonly onChoose: (value: Value) => void
}): JSX.Element {
  return (
    <fieldset class="choices" aria-label={props.label}>
      {props.options.map(([value, text]) => (
        <button
          type="button"
          key={value}
          aria-pressed={value === props.value}
          onClick={() => props.onChoose(value)}
        >
          {text}
        </button>
      ))}
    </fieldset>
  )
}

/** Copies a text, and says that it did. */
export function CopyButton({ text, label }: { readonly text: string; readonly label: string }): JSX.Element {
  const [copied, setCopied] = useState<'no' | 'yes' | 'failed'>('no')
  useEffect(() => {
    if (copied === 'no') return
    const timer = setTimeout(() => setCopied('no'), 2_000)
    return () => clearTimeout(timer)
  }, [copied])
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(text)
      setCopied('yes')
    } catch {
      // A page without TLS has no clipboard: the text beside the button can be selected.
      setCopied('failed')
    }
  }
  return (
    <button type="button" class="button plain small square" title={label} aria-label={label} onClick={copy}>
      <Icon name={copied === 'yes' ? 'check' : copied === 'failed' ? 'warn' : 'copy'} size={15} />
      <span class="aside-text" aria-live="polite">
        {copied === 'yes' ? 'Copied' : copied === 'failed' ? 'Not allowed by the browser' : ''}
      </span>
    </button>
  )
}

/** A command of the terminal, to copy. */
export function Command({ text }: { readonly text: string }): JSX.Element {
  return (
    <div class="command">
      <code tabIndex={0}>{text}</code>
      <CopyButton text={text} label="Copy the command" />
    </div>
  )
}

/** A button that opens a sheet below it, closed by Escape, a click elsewhere or the loss of the focus. */
export function Menu(props: {
  readonly button: ComponentChildren
  readonly label: string
  readonly class?: string
  readonly children: (close: () => void) => ComponentChildren
}): JSX.Element {
  const [isOpen, setOpen] = useState(false)
  const frame = useRef<HTMLDivElement>(null)
  const opener = useRef<HTMLButtonElement>(null)
  const close = (): void => {
    setOpen(false)
    opener.current?.focus()
  }
  useEffect(() => {
    if (!isOpen) return
    const away = (event: Event): void => {
      if (event.target instanceof Node && frame.current?.contains(event.target) !== true) setOpen(false)
    }
    addEventListener('pointerdown', away)
    addEventListener('focusin', away)
    return () => {
      removeEventListener('pointerdown', away)
      removeEventListener('focusin', away)
    }
  }, [isOpen])
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: it only closes the sheet inside it.
    <div
      class="menu"
      ref={frame}
      onKeyDown={(event) => {
        if (event.key !== 'Escape' || !isOpen) return
        event.stopPropagation()
        close()
      }}
    >
      <button
        type="button"
        class={`button ${props.class ?? ''}`}
        ref={opener}
        aria-label={props.label}
        aria-expanded={isOpen}
        onClick={() => setOpen(!isOpen)}
      >
        {props.button}
      </button>
      {isOpen && <div class="sheet fade">{props.children(close)}</div>}
    </div>
  )
}

/** A modal dialog, open as long as it is rendered. */
export function Window(props: {
  readonly title: string
  readonly onClose?: (() => void) | undefined
  readonly children: ComponentChildren
}): JSX.Element {
  const dialog = useRef<HTMLDialogElement>(null)
  const { onClose } = props
  useEffect(() => {
    if (dialog.current?.open === false) dialog.current.showModal()
  }, [])
  return (
    <dialog
      class="window"
      ref={dialog}
      aria-label={props.title}
      onCancel={(event) => {
        event.preventDefault()
        onClose?.()
      }}
    >
      <div class="window-head">
        <h2>{props.title}</h2>
        {onClose !== undefined && (
          <button type="button" class="button plain square" aria-label="Close" onClick={onClose}>
            <Icon name="close" />
          </button>
        )}
      </div>
      <div class="window-body">{props.children}</div>
    </dialog>
  )
}

/**
 * Scrolls a frame to the control in it that the keyboard has reached: a browser leaves one cut off of which it shows a
 * part. One that is clicked must not move between the press and the release.
 */
export function showFocused({ target, currentTarget }: FocusEvent): void {
  if (target instanceof Element && target !== currentTarget && target.matches(':focus-visible'))
    target.scrollIntoView({ block: 'nearest', inline: 'nearest' })
}
