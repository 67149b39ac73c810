import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Backlog } from '../../../src/run/lanes/backlog.ts'

const serverOf = (name: string): string => name.slice(0, 1)

/** Takes every name in turn. */
function drained(backlog: Backlog): string[] {
  const taken: string[] = []
  for (let name = backlog.next(); name !== undefined; name = backlog.next()) {
    backlog.remove(name)
    taken.push(name)
  }
  assert.equal(backlog.count, 0)
  return taken
}

test('servers take turns, and the names of each come oldest first', () => {
  const backlog = new Backlog(100, serverOf)
  for (const name of ['a3', 'a1', 'b1', 'a2', 'c1', 'a4', 'b2']) backlog.add(name)
  assert.deepEqual(drained(backlog), ['a1', 'b1', 'c1', 'a2', 'b2', 'a3', 'a4'])
})

test('a server that adds names while others wait does not get two turns in a row', () => {
  const backlog = new Backlog(100, serverOf)
  for (const name of ['a1', 'a2', 'b1', 'b2']) backlog.add(name)
  const taken: string[] = []
  for (let round = 0; round < 4; round += 1) {
    const name = backlog.next() as string
    backlog.remove(name)
    taken.push(name)
    backlog.add(`a${round + 5}`)
  }
  assert.deepEqual(taken.map(serverOf), ['a', 'b', 'a', 'b'])
})

test('a full backlog gives every server its share, whatever the order in which names are found', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.tuple(fc.constantFrom('a', 'b', 'c'), fc.integer({ min: 100, max: 400 })), {
        minLength: 1,
        maxLength: 200,
        selector: ([server, number]) => `${server}${number}`,
      }),
      (found) => {
        const max = 30
        const backlog = new Backlog(max, serverOf)
        const kept = new Set<string>()
        const left = new Set<string>()
        for (const [server, number] of found) {
          const name = `${server}${number}`
          const place = backlog.placeFor(name)
          if (place === 'none') {
            left.add(name)
            continue
          }
          if (place !== 'free') {
            assert.ok(kept.delete(place.of))
            left.add(place.of)
            backlog.remove(place.of)
          }
          kept.add(name)
          backlog.add(name)
        }
        assert.equal(backlog.count, Math.min(max, found.length))
        const servers = new Set(found.map(([server]) => server))
        const share = Math.floor(max / servers.size)
        for (const server of servers) {
          const all = found.filter(([one]) => one === server).length
          const own = [...kept].filter((name) => serverOf(name) === server).length
          assert.ok(own >= Math.min(all, share), `${server}: ${own} of ${all}`)
        }
        assert.deepEqual(drained(backlog).sort(), [...kept].sort())
      },
    ),
  )
})

test('of one server, the oldest names are kept', () => {
  const backlog = new Backlog(3, () => '')
  for (const name of ['5', '3', '4']) backlog.add(name)
  assert.equal(backlog.placeFor('6'), 'none')
  assert.deepEqual(backlog.placeFor('1'), { of: '5' })
})
