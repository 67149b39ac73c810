import { useEffect, useRef } from 'preact/hooks'
import type { About } from '../../api.ts'
import { useLive } from './live.ts'
import { type Requested, returns, useRequest } from './request.ts'

export type AboutState = Requested<About>

/**
 * Asked again when the server answers after a pause, because it may be another release or have other tables, and when
 * the first records have landed.
 */
export function useAbout(round: number): AboutState {
  const about = useRequest<About>('about')
  const { operate } = useLive()
  const count = returns.use()
  const before = useRef({ count, round })
  useEffect(() => {
    const { current: last } = before
    if (last.count !== count || last.round !== round) about.reload()
    before.current = { count, round }
  }, [count, round, about.reload])
  const { data, isLoading } = about
  const isEmpty = data !== undefined && data.unavailable === undefined && data.records === undefined
  const newestMs = operate?.commits.reduce((max, { atMs }) => Math.max(max, atMs), 0) ?? 0
  const askedMs = useRef(0)
  // Once for each commit: rows without a time are no records, and a server that is away answers nothing.
  const isDue = isEmpty && !isLoading && newestMs > askedMs.current
  useEffect(() => {
    if (!isDue) return
    // The commit may have been reported before its records can be read.
    const timer = setTimeout(() => {
      askedMs.current = newestMs
      about.reload()
    }, 1_000)
    return () => clearTimeout(timer)
  }, [isDue])
  return about
}
