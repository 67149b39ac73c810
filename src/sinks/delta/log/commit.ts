import { randomUUID } from 'node:crypto'
import type { Clock } from '../../../clock.ts'
import { isTailraceError, TailraceError } from '../../../errors.ts'
import { version } from '../../../package.ts'
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

/** Attempts whose outcome stays unclear before the commit fails. */
const maxUnanswered = 50
const minPauseMs = 20
const maxPauseMs = 2_000

/** Lost races before COMMIT_CONTENDED. Each one is another writer's commit, so the table still makes progress. */
const maxLostRaces = 1_000

/**
 * Lost races that are retried without a pause. A pause makes the next attempt start from an older version, so it only
 * helps when so many writers compete that their requests slow each other down.
 */
const maxImmediateRetries = 8

/** Upper bound of every later pause. It does not grow: longer pauses would favor new writers over waiting ones. */
const maxRacePauseMs = 100

/** One logical commit, whatever number of attempts it takes. */
export interface CommitRequest {
  readonly info: Pick<
    CommitInfoAction,
    'operation' | 'operationParameters' | 'operationMetrics' | 'isBlindAppend'
  >
  /** All actions of the commit except commitInfo. */
  readonly actions: readonly DeltaAction[]
  /** Called with each commit that another writer made first, in order; throws to abandon this commit. */
  readonly check: (winner: DeltaCommit, state: TableState) => void
}

export interface CommitContext {
  readonly storage: DeltaStorage
  readonly clock: Clock
  /** Uniform in [0, 1). */
  readonly random: () => number
  /** Ends a pause between attempts; the commit then fails with its reason. */
  readonly signal?: AbortSignal | undefined
  /** Read other writers' commits before the first attempt: one request that avoids a lost race. Default false. */
  readonly readFirst?: boolean | undefined
}

/** @returns whether the commit may be visible despite this error of `commit`, so that its files must be kept. */
export function mayBeVisible(error: unknown): boolean {
  return isTailraceError(error, 'COMMIT_UNKNOWN')
}

/**
 * Commits `actions` as the next version of the table, after any versions that other writers commit first.
 *
 * After a lost reply, it reads the version back and compares the transaction id. On return, `state` is at the new
 * version; on an error, at the newest version that was read.
 *
 * @returns the new version
 * @throws the error of `check`, COMMIT_CONTENDED when all attempts are used, or a storage error: nothing is visible
 * then. COMMIT_UNKNOWN when the commit may be visible or become visible
 */
export async function commit(
  state: TableState,
  request: CommitRequest,
  context: CommitContext,
): Promise<number> {
  const { storage, clock, random, signal, readFirst = false } = context
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
        await clock.sleep(pauseMs(unanswered, random), signal)
        continue
      }
      // Another writer's commit holds this version, so no earlier attempt at it can still succeed.
      isInDoubt = false
      lostRaces += 1
      if (lostRaces > maxImmediateRetries) await clock.sleep(random() * maxRacePauseMs, signal)
      await rebase(state, found, request, storage)
      if (lostRaces === maxLostRaces) throw contended(unanswered + lostRaces, state)
    }
  } catch (error) {
    throw isInDoubt ? doubtful(error) : error
  }
}

function contended(attempts: number, { version }: TableState): TailraceError {
  return new TailraceError('COMMIT_CONTENDED', `The commit found no free version in ${attempts} attempts.`, {
    context: { attempts, version },
  })
}

/** Replaces the cause, which may be retryable: a retry would reuse files that the table may already reference. */
function doubtful(error: unknown): TailraceError {
  return new TailraceError('COMMIT_UNKNOWN', 'Storage did not confirm whether the commit was written.', {
    context: isTailraceError(error) ? { ...error.context, reason: error.code } : {},
    cause: error,
  })
}

/** Advances the state to the newest version and passes every new commit to the request's `check`. */
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
    // The protocol requires it to be later than the previous version's, even if this clock is behind.
    inCommitTimestamp: timed ? Math.max(nowMs, (state.inCommitTimestamp ?? -1) + 1) : undefined,
    timestamp: nowMs,
    ...request.info,
    readVersion: readVersion >= 0 ? readVersion : undefined,
    isolationLevel: readVersion >= 0 ? 'Serializable' : undefined,
    engineInfo: `tailrace/${version}`,
    txnId,
  }
}

function pauseMs(attempt: number, random: () => number): number {
  const ceiling = Math.min(maxPauseMs, minPauseMs * 2 ** Math.min(attempt, 10))
  return minPauseMs + Math.floor(random() * (ceiling - minPauseMs))
}
