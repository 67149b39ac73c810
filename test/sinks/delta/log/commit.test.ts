import assert from 'node:assert/strict'
import test from 'node:test'
import { seededRandom } from '../../../../doubles/seeded-random.ts'
import type { Clock } from '../../../../src/clock.ts'
import { isAbort, isTailraceError } from '../../../../src/errors.ts'
import { type CommitRequest, commit, mayBeVisible } from '../../../../src/sinks/delta/log/commit.ts'
import { readNewCommits } from '../../../../src/sinks/delta/log/load.ts'
import { TableState } from '../../../../src/sinks/delta/log/state.ts'
import { commitPath, encodeActions } from '../../../../src/sinks/delta/protocol/actions.ts'
import type { DeltaStorage } from '../../../../src/sinks/delta/storage/delta-storage.ts'
import { SimulatedClock, SimulatedStorage } from '../simulated-storage.ts'

const created: CommitRequest = {
  info: { operation: 'CREATE TABLE', operationParameters: {}, isBlindAppend: true },
  actions: [
    { protocol: { minReaderVersion: 1, minWriterVersion: 2 } },
    { metaData: { id: '1', format: { provider: 'parquet' }, schemaString: '{}', partitionColumns: [] } },
  ],
  check: () => {},
}

function offsetOf(writer: number | string, version: number): CommitRequest {
  const info = { operation: 'STREAMING UPDATE', operationParameters: {}, isBlindAppend: true }
  return { info, actions: [{ txn: { appId: `blob-${writer}`, version } }], check: () => {} }
}

interface Simulation {
  readonly clock: SimulatedClock
  readonly storage: SimulatedStorage & DeltaStorage
  readonly random: () => number
}

/** A table of one version on storage as slow as Azure within a region. */
async function simulation(): Promise<Simulation> {
  const clock = new SimulatedClock()
  const storage = new SimulatedStorage(clock, { putMs: 25, readMs: 10 }) as Simulation['storage']
  const context = { clock, storage, random: seededRandom(1).next }
  await clock.run(commit(new TableState({ keepFiles: false }), created, context))
  return context
}

async function stateOf(storage: DeltaStorage): Promise<TableState> {
  const state = new TableState({ keepFiles: false })
  await readNewCommits(storage, state)
  return state
}

/** @returns how long each commit of each writer took, in milliseconds, longest last */
async function compete(writers: number, commits: number, pauseMs: number): Promise<number[]> {
  const context = await simulation()
  const { clock, storage, random } = context
  const took: number[] = []
  const write = async (writer: number): Promise<void> => {
    const state = await stateOf(storage)
    await clock.sleep(random() * pauseMs)
    for (let version = 1; version <= commits; version += 1) {
      const startedAt = clock.now()
      await commit(state, offsetOf(writer, version), { ...context, readFirst: true })
      took.push(clock.now() - startedAt)
      await clock.sleep(pauseMs * (0.9 + 0.2 * random()))
    }
  }
  await clock.run(Promise.all(Array.from({ length: writers }, (_, writer) => write(writer))))
  const { version, transactions } = await clock.run(stateOf(storage))
  assert.equal(version, writers * commits)
  assert.equal(transactions.size, writers)
  return took.sort((a, b) => a - b)
}

test('a hundred writers that commit every ten seconds all commit, each within a second', async () => {
  const took = await compete(100, 3, 10_000)
  assert.ok(took.at(-1)! < 1_000, `${took.at(-1)} ms`)
})

test('of writers that never pause, none is left behind', async () => {
  const took = await compete(8, 20, 0)
  assert.ok(took.at(-1)! < 3_000, `${took.at(-1)} ms`)
})

test('a commit that reads the log first follows the commits of others without losing a race', async () => {
  const context = await simulation()
  const { clock, storage } = context
  const [mine, other] = await clock.run(Promise.all([stateOf(storage), stateOf(storage)]))
  for (let version = 1; version <= 5; version += 1)
    await clock.run(commit(other, offsetOf('other', version), context))
  const before = storage.requests
  const seen: number[] = []
  const request: CommitRequest = { ...offsetOf('mine', 1), check: ({ version }) => void seen.push(version) }
  assert.equal(await clock.run(commit(mine, request, { ...context, readFirst: true })), 6)
  assert.deepEqual(seen, [1, 2, 3, 4, 5])
  // Reads of 1, 2 and 4 versions, and one put.
  assert.equal(storage.requests - before, 1 + 2 + 4 + 1)
})

/** A storage on which another writer takes the next version before each put. */
function takenBeforeEachPut(storage: DeltaStorage): DeltaStorage {
  const taken = Object.create(storage) as DeltaStorage
  taken.putIfAbsent = async (path, bytes) => {
    await storage.putIfAbsent(path, encodeActions([{ txn: { appId: 'other', version: 1 } }]))
    return storage.putIfAbsent(path, bytes)
  }
  taken.read = (path) => storage.read(path)
  return taken
}

test('when every version is taken, a commit is contended in the end, and can be made again', async () => {
  const context = await simulation()
  const { clock, storage } = context
  const state = await clock.run(stateOf(storage))
  await assert.rejects(
    clock.run(commit(state, offsetOf('mine', 1), { ...context, storage: takenBeforeEachPut(storage) })),
    (error) => isTailraceError(error, 'COMMIT_CONTENDED') && error.context.attempts === 1_000,
  )
  assert.equal(await clock.run(commit(state, offsetOf('mine', 1), context)), 1_001)
})

test('each commit that won is checked, in order, also when several won the same race', async () => {
  const context = await simulation()
  const { clock, storage } = context
  const [mine, other] = await clock.run(Promise.all([stateOf(storage), stateOf(storage)]))
  for (const version of [1, 2, 3]) await clock.run(commit(other, offsetOf('other', version), context))
  const seen: number[] = []
  const request: CommitRequest = {
    ...offsetOf('mine', 1),
    check: ({ version }) => {
      seen.push(version)
      if (version === 3) throw new Error('fenced')
    },
  }
  await assert.rejects(clock.run(commit(mine, request, context)), /fenced/)
  assert.deepEqual(seen, [1, 2, 3])
})

test('a lost request is no doubt any more once its version is the one of another writer', async () => {
  const context = await simulation()
  const { clock, storage } = context
  const state = await clock.run(stateOf(storage))
  const losing = Object.create(storage) as DeltaStorage
  losing.read = (path) => storage.read(path)
  losing.putIfAbsent = async () => {
    await storage.putIfAbsent(commitPath(1), encodeActions([{ txn: { appId: 'blob-mine', version: 9 } }]))
    return 'unknown'
  }
  const request: CommitRequest = {
    ...offsetOf('mine', 1),
    check: () => {
      throw new Error('fenced')
    },
  }
  await assert.rejects(clock.run(commit(state, request, { ...context, storage: losing })), /^Error: fenced$/)
})

test('an abort ends the pause between two attempts, and keeps what may be visible in doubt', async () => {
  const { clock, storage, random } = await simulation()
  const unanswered = Object.create(storage) as DeltaStorage
  unanswered.putIfAbsent = async () => 'unknown'
  unanswered.read = async () => undefined
  for (const [given, code] of [
    [unanswered, 'COMMIT_UNKNOWN'],
    [takenBeforeEachPut(storage), undefined],
  ] as const) {
    const state = await clock.run(stateOf(storage))
    const { signal, abort } = abortable()
    let pauses = 0
    // Its pauses end by an abort only.
    const endless: Clock = {
      now: () => 0,
      after: () => () => {},
      sleep: (_ms, ending) =>
        new Promise((_resolve, reject) => {
          pauses += 1
          ending?.addEventListener('abort', () => reject(ending.reason))
          abort()
        }),
    }
    const committing = commit(state, offsetOf('mine', 1), { storage: given, clock: endless, random, signal })
    await assert.rejects(clock.run(committing), (error) =>
      code === undefined ? isAbort(error) : isTailraceError(error, code),
    )
    assert.equal(pauses, 1)
  }
})

function abortable(): { readonly signal: AbortSignal; readonly abort: () => void } {
  const controller = new AbortController()
  return { signal: controller.signal, abort: () => queueMicrotask(() => controller.abort()) }
}

/** A clock that stands still and notes the pauses. */
function notedPauses(nowMs = 0): { readonly pauses: number[]; readonly clock: Clock } {
  const pauses: number[] = []
  const sleep = async (ms: number): Promise<void> => void pauses.push(ms)
  return { pauses, clock: { now: () => nowMs, after: () => () => {}, sleep } }
}

test('attempts without an answer are made 50 times, after pauses of 20 ms up to 2 s', async () => {
  const { clock, storage } = await simulation()
  for (const [outcome, code, random, pauses] of [
    ['unknown', 'COMMIT_UNKNOWN', 0, [20, 20, 20]],
    ['exists', 'COMMIT_CONTENDED', 0.999, [39, 79, 159]],
  ] as const) {
    const silent = Object.create(storage) as DeltaStorage
    let puts = 0
    silent.putIfAbsent = async () => {
      puts += 1
      return outcome
    }
    silent.read = async () => undefined
    const state = await clock.run(stateOf(storage))
    const noted = notedPauses()
    const context = { storage: silent, clock: noted.clock, random: () => random }
    await assert.rejects(commit(state, offsetOf('mine', 1), context), (error) => {
      assert.ok(isTailraceError(error, code))
      assert.deepEqual([error.context.attempts, error.context.version], [50, 0])
      assert.equal(mayBeVisible(error), outcome === 'unknown')
      return true
    })
    assert.deepEqual([puts, noted.pauses.length], [50, 49])
    assert.deepEqual(noted.pauses.slice(0, 3), pauses)
    assert.equal(noted.pauses.at(-1), random === 0 ? 20 : 1_998)
  }
})

test('eight lost races are repeated at once, and later ones after a pause below 100 ms', async () => {
  const { clock, storage } = await simulation()
  const state = await clock.run(stateOf(storage))
  const { pauses, clock: noting } = notedPauses()
  const others = takenBeforeEachPut(storage)
  let puts = 0
  const taken = Object.create(storage) as DeltaStorage
  taken.read = (path) => storage.read(path)
  taken.putIfAbsent = (path, bytes) => {
    puts += 1
    return puts > 10 ? storage.putIfAbsent(path, bytes) : others.putIfAbsent(path, bytes)
  }
  const committing = commit(state, offsetOf('mine', 1), { storage: taken, clock: noting, random: () => 0.5 })
  assert.equal(await clock.run(committing), 11)
  assert.deepEqual(pauses, [50, 50])
})

test('a commit is one request, and a lost race costs the read of the winner and of the version after it', async () => {
  const context = await simulation()
  const { clock, storage } = context
  const [mine, other] = await clock.run(Promise.all([stateOf(storage), stateOf(storage)]))
  const requestsOf = async (state: TableState, writer: string, version: number): Promise<number> => {
    const before = storage.requests
    await clock.run(commit(state, offsetOf(writer, version), context))
    return storage.requests - before
  }
  assert.equal(await requestsOf(other, 'other', 1), 1)
  assert.equal(await requestsOf(mine, 'mine', 1), 4)
  assert.equal(mine.version, 2)
})

test('the attempts that an error states are those of lost races and those without an answer', async () => {
  const { clock, storage } = await simulation()
  const state = await clock.run(stateOf(storage))
  const others = takenBeforeEachPut(storage)
  let puts = 0
  const silent = Object.create(storage) as DeltaStorage
  silent.read = (path) => (path === commitPath(1) ? storage.read(path) : Promise.resolve(undefined))
  silent.putIfAbsent = (path, bytes) => {
    puts += 1
    return puts === 1 ? others.putIfAbsent(path, bytes) : Promise.resolve('exists' as const)
  }
  const context = { storage: silent, clock: notedPauses().clock, random: () => 0 }
  await assert.rejects(clock.run(commit(state, offsetOf('mine', 1), context)), {
    code: 'COMMIT_CONTENDED',
    context: { attempts: 51, version: 1 },
  })
})

test('a commit whose reply was lost is found by its transaction, and made once', async () => {
  const { clock, storage } = await simulation()
  const state = await clock.run(stateOf(storage))
  const losing = Object.create(storage) as DeltaStorage
  let puts = 0
  losing.read = (path) => storage.read(path)
  losing.putIfAbsent = async (path, bytes) => {
    puts += 1
    await storage.putIfAbsent(path, bytes)
    return 'unknown'
  }
  const { clock: noting } = notedPauses()
  const committing = commit(state, offsetOf('mine', 1), { storage: losing, clock: noting, random: () => 0 })
  assert.equal(await clock.run(committing), 1)
  assert.deepEqual([state.version, puts], [1, 1])
})

test('a commit states the version that it follows, and a time after that of the version before', async () => {
  const { clock, storage, random } = await simulation()
  const first = (await clock.run(storage.read(commitPath(0))))!.toString()
  assert.doesNotMatch(first, /readVersion|isolationLevel|inCommitTimestamp/)

  const state = await clock.run(stateOf(storage))
  const timed: CommitRequest = {
    ...created,
    actions: [
      { protocol: { minReaderVersion: 1, minWriterVersion: 7, writerFeatures: ['inCommitTimestamp'] } },
      {
        metaData: {
          id: '1',
          format: { provider: 'parquet' },
          schemaString: '{}',
          partitionColumns: [],
          configuration: { 'delta.enableInCommitTimestamps': 'true' },
        },
      },
    ],
  }
  const at = async (nowMs: number, request: CommitRequest): Promise<string> => {
    const context = { storage, clock: notedPauses(nowMs).clock, random }
    const version = await clock.run(commit(state, request, context))
    return (await clock.run(storage.read(commitPath(version))))!.toString()
  }
  assert.match(await at(500, timed), /"readVersion":0,"isolationLevel":"Serializable"/)
  assert.match(await at(1_000, offsetOf('mine', 1)), /"inCommitTimestamp":1000,/)
  assert.match(await at(900, offsetOf('mine', 2)), /"inCommitTimestamp":1001,"timestamp":900/)

  const empty = await simulation()
  const second = new TableState({ keepFiles: false })
  second.apply({ version: 0, actions: timed.actions })
  const context = { ...empty, clock: notedPauses(700).clock }
  assert.equal(await empty.clock.run(commit(second, offsetOf('mine', 1), context)), 1)
  const text = (await empty.clock.run(empty.storage.read(commitPath(1))))!.toString()
  assert.match(text, /"inCommitTimestamp":700,/)
})
