import type { JSX } from 'preact'
import { useState } from 'preact/hooks'
import { Window } from '../parts/basics.tsx'
import { Icon } from '../parts/icons.tsx'

/** Asks for the token of a page that other machines can reach. */
export function SignIn({ onDone }: { readonly onDone: () => void }): JSX.Element {
  const [failure, setFailure] = useState<string | undefined>(undefined)
  const [isBusy, setBusy] = useState(false)
  const send = async (token: string): Promise<void> => {
    setBusy(true)
    setFailure(undefined)
    try {
      const answer = await fetch('api/login', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ token }),
      })
      if (answer.ok) onDone()
      else
        setFailure(answer.status === 401 ? 'This is not the token.' : `The server answered ${answer.status}.`)
    } catch {
      setFailure('Tailrace does not answer. Check that its process runs.')
    } finally {
      setBusy(false)
    }
  }
  return (
    <Window title="Sign in">
      <p class="soft">
        Other machines can reach this page, so it asks for its token: the value of{' '}
        <code>TAILRACE_PAGE_TOKEN</code> where Tailrace runs.
      </p>
      <form
        class="sign-in"
        onSubmit={(event) => {
          event.preventDefault()
          void send(String(new FormData(event.currentTarget).get('token') ?? ''))
        }}
      >
        <input
          class="field"
          type="password"
          name="token"
          aria-label="Token"
          placeholder="Token"
          autocomplete="current-password"
          required
        />
        <button type="submit" class="button main" disabled={isBusy}>
          Sign in
        </button>
      </form>
      {failure !== undefined && (
        <p class="note bad" role="alert">
          <Icon name="warn" /> {failure}
        </p>
      )}
    </Window>
  )
}
