import { randomUUID } from 'node:crypto'
import manifest from '../../../../package.json' with { type: 'json' }
import type { Clock } from '../../../clock.ts'
import { isTailraceError, TailraceError } from '../../../errors.ts'
import {
  type CommitInfoAction,
  commitPath,
  type DeltaAction,
  type DeltaCommit,
  encodeActions,
} from '../protocol/actions.ts'
import { hasInCommitTimestamps } from '../protocol/features.ts'
import type { DeltaStorage } from '../storage/delta-storage.ts'
import { readCommit, readNewCommits } from './load.ts'
import type { TableState } from './state.ts'

/** Puts without an answer before the outcome is given up as unknown. */
const maxUnanswered = 50
const minPauseMs = 20
const maxPauseMs = 2_000

/** Lost races before COMMIT_CONTENDED. Each is a commit of somebody else, so the table makes progress meanwhile. */
const maxLostRaces = 1_000

/**
 * Races that are lost without a pause. A pause only makes the next attempt start from an old version, unless so many
 * writers try at once that their requests are what slows them down.
 */
const maxHurriedRaces = 8

/** Short and the same after every further race: a pause that grew would let newcomers pass those that wait longest. */
const maxRacePauseMs = 100

/** One logical commit. */
export interface CommitRequest {
  readonly info: Pick<
    CommitInfoAction,
    'operation' | 'operationParameters' | 'operationMetrics' | 'isBlindAppend'
  >
  /** Everything but commitInfo. */
  readonly actions: readonly DeltaAction[]
  /** Called with each commit that came first, in order; throws to give up. */
  readonly check: (winner: DeltaCommit, state: TableState) => void
}

export interface CommitContext {
  readonly storage: DeltaStorage
  readonly clock: Clock
  /** Uniform in [0, 1). */
  readonly random: () => number
  /** Reads what others committed before the first attempt: one request, which saves a lost race. Default false. */
  readonly readFirst?: boolean
}

/** @returns whether an error of `commit` leaves it open that the commit is or becomes visible: its files must stay. */
export function mayBeVisible(error: unknown): boolean {
  return isTailraceError(error, 'COMMIT_UNKNOWN')
}

/**
 * Makes `actions` the version after `state`'s, or after the versions that others commit meanwhile.
 *
 * A lost reply is resolved by reading the version back: the transaction id in it tells whose it is. On return
 * `state` is at the new version; on an error it is at the newest version that was seen.
 *
 * @returns the version
 * @throws what `check` throws, COMMIT_CONTENDED when the attempts are used up, and storage errors: nothing is
 * visible then. COMMIT_UNKNOWN when that cannot be told
 */
export async function commit(
  state: TableState,
  request: CommitRequest,
  context: CommitContext,
): Promise<number> {
  const { storage, clock, random, readFirst = false } = context
  const txnId = randomUUID()
  let isInDoubt = false
  let unanswered = 0
  let lostRaces = 0
  try {
    if (readFirst) await rebase(state, undefined, request, storage)
    for (;;) {
      const version = state.version + 1
      const info = commitInfo(request, txnId, state, clock.now())
      const bytes = encodeActions([{ commitInfo: info }, ...request.actions])
      const outcome = await storage.putIfAbsent(commitPath(version), bytes)
      if (outcome === 'created') {
        state.apply({ version, ...info, actions: request.actions })
        return version
      }

      if (outcome === 'unknown') isInDoubt = true
      const found = await readCommit(storage, version)
      if (found?.txnId === txnId) {
        state.apply(found)
        return version
      }
      if (found === undefined) {
        unanswered += 1
        if (unanswered === maxUnanswered) throw contended(unanswered + lostRaces, state)
        await clock.sleep(pauseMs(unanswered, random))
        continue
      }
      // The version is another's, so no attempt at it can come to be ours.
      isInDoubt = false
      lostRaces += 1
      if (lostRaces > maxHurriedRaces) await clock.sleep(random() * maxRacePauseMs)
      await rebase(state, found, request, storage)
      if (lostRaces === maxLostRaces) throw contended(unanswered + lostRaces, state)
    }
  } catch (error) {
    throw isInDoubt ? doubtful(error) : error
  }
}

function contended(attempts: number, { version }: TableState): TailraceError {
  return new TailraceError('COMMIT_CONTENDED', `No version was free in ${attempts} attempts.`, {
    context: { attempts, version },
  })
}

/** Another attempt would start from files that the table may already own, so the doubt must not look retryable. */
function doubtful(error: unknown): TailraceError {
  return new TailraceError('COMMIT_UNKNOWN', 'Storage did not tell whether the commit took place.', {
    context: isTailraceError(error) ? { ...error.context, reason: error.code } : {},
    cause: error,
  })
}

/** Moves the state to the newest version and checks every commit in between. */
async function rebase(
  state: TableState,
  first: DeltaCommit | undefined,
  request: CommitRequest,
  storage: DeltaStorage,
): Promise<void> {
  const winners: DeltaCommit[] = []
  if (first !== undefined) {
    winners.push(first)
    state.apply(first)
  }
  await readNewCommits(storage, state, (winner) => winners.push(winner))
  for (const winner of winners) request.check(winner, state)
}

function commitInfo(
  request: CommitRequest,
  txnId: string,
  state: TableState,
  nowMs: number,
): CommitInfoAction {
  const readVersion = state.version
  const timed = readVersion >= 0 && hasInCommitTimestamps(state.protocol, state.metaData)
  return {
    // It must be later than that of the version before, whatever this clock says.
    ...(timed ? { inCommitTimestamp: Math.max(nowMs, (state.inCommitTimestamp ?? -1) + 1) } : {}),
    timestamp: nowMs,
    ...request.info,
    ...(readVersion >= 0 ? { readVersion, isolationLevel: 'Serializable' as const } : {}),
    engineInfo: `${manifest.name}/${manifest.version}`,
    txnId,
  }
}

function pauseMs(attempt: number, random: () => number): number {
  const ceiling = Math.min(maxPauseMs, minPauseMs * 2 ** Math.min(attempt, 10))
  return minPauseMs + Math.floor(random() * (ceiling - minPauseMs))
}
