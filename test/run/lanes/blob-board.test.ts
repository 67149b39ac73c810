import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { BlobBoard, type BoardBlob } from '../../../src/run/lanes/blob-board.ts'
import { hasLane, isAtRest, isSetAside } from '../../../src/run/lanes/blob-state.ts'

const names = ['a', 'b', 'c', 'd', 'e']
const minuteMs = 60_000
const maxQueued = 2

/** A container, the table that its blobs land in, and a board that random events happen to. */
class World {
  readonly board = new BlobBoard({ maxQueued, newestCount: 2 })
  nowMs = 1_000 * minuteMs
  #listed = new Map<string, { bytes: number; createdAt: string; modifiedAtMs: number }>()
  #landed = new Map<string, { bytes: number; createdAt: string }>()
  /** Bytes that were read and have not landed. */
  #inFlight = new Map<string, { bytes: number; createdAt: string }>()
  #readTo = new Map<string, number>()

  append(name: string): void {
    const known = this.#listed.get(name) ?? { bytes: 0, createdAt: `${this.nowMs}`, modifiedAtMs: 0 }
    this.#listed.set(name, { ...known, bytes: known.bytes + 10, modifiedAtMs: this.nowMs })
  }

  replace(name: string): void {
    this.#listed.set(name, { bytes: 10, createdAt: `${this.nowMs}`, modifiedAtMs: this.nowMs })
  }

  remove(name: string): void {
    this.#listed.delete(name)
  }

  scan(followed: boolean): void {
    const { board } = this
    board.beginScan()
    for (const [name, listed] of [...this.#listed].sort(([a], [b]) => (a < b ? -1 : 1)))
      board.note({ name, ...listed }, this.#landedBytes(name), this.nowMs)
    board.endScan(true)
    this.#assertNothingLost()
    board.makeNewestLive({ followed })
    this.forget()
  }

  forget(): void {
    this.board.forgetQuiet(({ name, next }) => {
      const landed = this.#landed.get(name)
      return landed?.bytes === next?.offset && (landed === undefined || landed.createdAt === next?.createdAt)
    }, this.nowMs)
  }

  take(from: 'live' | 'backlog'): void {
    const count = from === 'live' ? this.board.liveCount : this.board.backlogCount
    const blob = this.board.take(from)
    assert.equal(blob?.status.state, count === 0 ? undefined : 'reading')
    if (blob !== undefined && from === 'backlog')
      for (const other of this.#queued('backlog')) assert.ok(other.name > blob.name)
  }

  /** Ends the lane of a blob, at its end or by a failure. */
  end(name: string, failure?: 'read-failed' | 'content-refused'): void {
    const blob = this.board.get(name)
    if (blob === undefined || !hasLane(blob.status.state)) return
    const wasYielding = blob.status.state === 'yielding'
    const listed = this.#listed.get(name)
    if (listed !== undefined) {
      const bytes = failure === undefined ? listed.bytes : Math.ceil(listed.bytes / 2)
      this.#read(blob, { ...listed, bytes })
    }
    this.board.apply(blob, failure ?? (listed === undefined ? 'vanished' : 'finished'))
    assert.equal(isSetAside(blob.status.state), wasYielding || failure !== undefined)
    if (wasYielding) this.#fence(blob)
  }

  overtake(name: string): void {
    const blob = this.board.get(name)
    if (blob?.next === undefined || isSetAside(blob.status.state)) return
    this.board.apply(blob, 'overtaken')
    if (blob.status.state === 'fenced') this.#fence(blob)
  }

  retry(name: string): void {
    const blob = this.board.get(name)
    if (blob !== undefined && isSetAside(blob.status.state)) this.board.apply(blob, 'retried')
  }

  land(name: string): void {
    const read = this.#inFlight.get(name)
    if (read !== undefined) this.#landed.set(name, read)
    this.#inFlight.delete(name)
  }

  assertQueues(): void {
    const { board } = this
    assert.equal(board.liveCount, this.#queued('live').length)
    assert.equal(board.backlogCount, this.#queued('backlog').length)
    assert.equal(board.queuedCount, board.liveCount + board.backlogCount)
  }

  /** Lets everything be read and landed; fails when something never is. */
  settle(): void {
    for (let round = 0; round < 3 * names.length; round += 1) {
      for (const name of names) this.retry(name)
      this.scan(false)
      while (this.board.queuedCount > 0) this.take(this.board.liveCount > 0 ? 'live' : 'backlog')
      for (const name of names) this.end(name)
      for (const name of names) this.land(name)
      this.assertQueues()
    }
    for (const [name, { bytes, createdAt }] of this.#listed)
      assert.deepEqual(this.#landed.get(name), { bytes, createdAt }, `${name} has not landed whole`)
  }

  /** Reads a blob on from where the board and the table say: never a byte of a generation twice. */
  #read(blob: BoardBlob, { bytes: end, createdAt }: { bytes: number; createdAt: string }): void {
    const key = `${blob.name} ${createdAt}`
    const landed = this.#landed.get(blob.name)
    const landedTo = landed?.createdAt === createdAt ? landed.bytes : 0
    const from = blob.next?.createdAt === createdAt ? blob.next.offset : landedTo
    assert.equal(from, this.#readTo.get(key) ?? 0, `${key} is not read on where it was`)
    const bytes = Math.max(from, end)
    this.#readTo.set(key, bytes)
    const generation = createdAt
    const start = { generation, createdAt, offset: bytes, insideLine: false, framing: 'lines' } as const
    blob.next = { ...start, before: undefined, resume: undefined, head: undefined }
    blob.seenBytes = bytes
    blob.identity = { head: Buffer.alloc(0), createdAt }
    this.#inFlight.set(blob.name, { bytes, createdAt })
  }

  /** The sink drops the bytes in flight; another process has landed them. */
  #fence(blob: BoardBlob): void {
    blob.next = undefined
    blob.seenBytes = 0
    this.land(blob.name)
  }

  #queued(queue: 'live' | 'backlog'): readonly BoardBlob[] {
    return [...this.board.blobs].filter(
      ({ status }) => status.state === 'queued' && status.isLive === (queue === 'live'),
    )
  }

  #landedBytes(name: string): number | undefined {
    const landed = this.#landed.get(name)
    return landed?.createdAt === this.#listed.get(name)?.createdAt ? landed?.bytes : undefined
  }

  /** Unread bytes are queued, being read, set aside, or counted as left to a later scan. */
  #assertNothingLost(): void {
    let leftBytes = 0
    for (const [name, { bytes, createdAt }] of this.#listed) {
      const blob = this.board.get(name)
      const isLanded = this.#landedBytes(name) === bytes
      if (blob === undefined) leftBytes += isLanded ? 0 : bytes
      else if (isAtRest(blob.status.state))
        assert.deepEqual([blob.seenBytes, blob.identity?.createdAt ?? createdAt], [bytes, createdAt])
    }
    // A blob that was displaced and deleted meanwhile may be counted, too.
    assert.ok(this.board.leftBytes >= leftBytes, `${leftBytes} bytes are neither known nor left`)
  }
}

const anyName = fc.constantFrom(...names)
const anyEvent: fc.Arbitrary<(world: World) => void> = fc.oneof(
  anyName.map((name) => (world: World) => world.append(name)),
  anyName.map((name) => (world: World) => world.replace(name)),
  anyName.map((name) => (world: World) => world.remove(name)),
  fc.boolean().map((followed) => (world: World) => world.scan(followed)),
  fc.constantFrom('live' as const, 'backlog' as const).map((from) => (world: World) => world.take(from)),
  anyName.map((name) => (world: World) => world.end(name)),
  fc.tuple(anyName, fc.constantFrom('read-failed' as const, 'content-refused' as const)).map(
    ([name, failure]) =>
      (world: World) =>
        world.end(name, failure),
  ),
  anyName.map((name) => (world: World) => world.overtake(name)),
  anyName.map((name) => (world: World) => world.retry(name)),
  anyName.map((name) => (world: World) => world.land(name)),
)

test('after any events, a blob is in the queue of its state or in none, and everything is read in the end', () => {
  fc.assert(
    fc.property(fc.array(anyEvent, { minLength: 60, maxLength: 150 }), (events) => {
      const world = new World()
      for (const event of events) {
        world.nowMs += 7 * minuteMs
        event(world)
        world.assertQueues()
      }
      world.settle()
    }),
    { numRuns: 1_000 },
  )
})

test('a quiet blob that has landed is in no queue, and is forgotten after an hour', () => {
  const world = new World()
  world.append('a')
  world.scan(false)
  world.take('live')
  world.append('a')
  world.end('a')
  world.land('a')
  world.scan(false)
  assert.equal(world.board.queuedCount, 0)
  assert.equal(world.board.get('a'), undefined)

  world.append('a')
  world.scan(false)
  world.take('live')
  world.end('a')
  world.land('a')
  world.scan(false)
  assert.equal(world.board.get('a')?.status.state, 'quiet')
  assert.equal(world.board.queuedCount, 0)
  world.nowMs += 61 * minuteMs
  world.scan(false)
  assert.equal(world.board.get('a'), undefined)
})

test('a blob with bytes in flight is not forgotten', () => {
  const world = new World()
  world.append('e')
  world.scan(false)
  world.take('live')
  world.end('e')
  world.nowMs += 61 * minuteMs
  for (const name of names.slice(0, 4)) world.append(name)
  world.scan(false)
  assert.equal(world.board.get('e')?.status.state, 'quiet')
  world.land('e')
  world.scan(false)
  assert.equal(world.board.get('e'), undefined)
})

test('a blob with bytes in flight keeps its place in a full backlog', () => {
  const world = new World()
  for (const name of ['e', 'd', 'c']) {
    world.append(name)
    world.nowMs += minuteMs
  }
  world.scan(false)
  for (let taken = 0; taken < 2; taken += 1) world.take('live')
  world.scan(false)
  world.take('backlog')
  world.end('e', 'read-failed')
  world.retry('e')
  for (const name of ['a', 'b']) world.append(name)
  world.scan(false)
  assert.deepEqual(world.board.get('e')?.status, { state: 'queued', isLive: false })
})

test('a blob with refused content is queued when it changes; one whose reads fail waits for its retry', () => {
  for (const failure of ['read-failed', 'content-refused'] as const) {
    const world = new World()
    world.append('a')
    world.scan(false)
    world.take('live')
    world.end('a', failure)
    world.scan(false)
    assert.equal(world.board.queuedCount, 0)
    world.append('a')
    world.scan(false)
    assert.equal(world.board.queuedCount, failure === 'content-refused' ? 1 : 0)
    world.retry('a')
    assert.equal(world.board.queuedCount, 1)
  }
})
