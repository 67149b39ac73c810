import { useEffect, useRef } from 'preact/hooks'
import type { About } from '../../api.ts'
import { useLive } from './live.ts'
import { type Requested, useRequest } from './request.ts'

export type AboutState = Requested<About>

/** Asked again when the server answers after a pause: it may be another release, or have other tables. */
export function useAbout(round: number): AboutState {
  const about = useRequest<About>('about')
  const { connection } = useLive()
  const before = useRef({ connection, round })
  useEffect(() => {
    const { current: last } = before
    if ((last.connection === 'lost' && connection === 'open') || last.round !== round) about.reload()
    before.current = { connection, round }
  }, [connection, round, about.reload])
  return about
}
