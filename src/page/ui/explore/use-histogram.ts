import { useCallback, useEffect, useState } from 'preact/hooks'
import type { Histogram } from '../../api.ts'
import { fetchApi, type Requested, useRequest } from '../state/request.ts'
import { withOlder } from './older-counts.ts'

/** Counting goes on by itself for so long; then the reader decides, because it keeps the machine busy. */
const maxCountingMs = 20_000

export interface CountedHistogram extends Requested<Histogram> {
  /** Older records are being counted. */
  readonly isCounting: boolean
  /** Goes on after a pause; undefined while there is nothing to go on with. */
  readonly goOn: (() => void) | undefined
}

interface Progress {
  /** The first reply, by which later ones are known to belong to it. */
  readonly first: Histogram | undefined
  readonly merged: Histogram | undefined
  readonly isCounting: boolean
}

/** Requests a histogram, and goes on with the records that a reply had no time to count. */
export function useHistogram(path: string | undefined): CountedHistogram {
  const request = useRequest<Histogram>(path)
  const { data: first, settledPath } = request
  const [progress, setProgress] = useState<Progress>({
    first: undefined,
    merged: undefined,
    isCounting: false,
  })
  const [round, setRound] = useState(0)
  const isCurrent = progress.first === first
  const data = isCurrent ? (progress.merged ?? first) : first

  useEffect(() => {
    // While another filter's reply is awaited, counts of this one are of no use.
    if (path === undefined || settledPath !== path || first === undefined || data?.next === undefined) return
    const ending = new AbortController()
    void countOn(path, data, ending.signal, (merged, isCounting) =>
      setProgress({ first, merged, isCounting }),
    )
    return () => ending.abort()
  }, [first, path, settledPath, round])

  const isCounting = isCurrent && progress.isCounting
  const goOn = useCallback(() => setRound((one) => one + 1), [])
  const hasPaused = !isCounting && data?.next !== undefined
  return { ...request, data, isCounting, goOn: hasPaused ? goOn : undefined }
}

async function countOn(
  path: string,
  begun: Histogram,
  signal: AbortSignal,
  show: (merged: Histogram, isCounting: boolean) => void,
): Promise<void> {
  const endMs = performance.now() + maxCountingMs
  let merged = begun
  show(merged, true)
  while (merged.next !== undefined && performance.now() < endMs) {
    const separator = path.includes('?') ? '&' : '?'
    try {
      const response = await fetchApi(`${path}${separator}before=${merged.next}`, { signal })
      const part = (await response.json()) as Histogram
      if (signal.aborted) return
      merged = withOlder(merged, part)
      show(merged, merged.next !== undefined)
    } catch {
      // The reader can go on where it ended.
      if (signal.aborted) return
      break
    }
  }
  show(merged, false)
}
