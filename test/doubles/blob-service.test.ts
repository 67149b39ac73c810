import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SimulatedClock } from '../../doubles/simulated-clock.ts'
import { BlobService } from '../support/blob-service/blob-service.ts'
import {
  assertGenerationsDelivered,
  continuedInstants,
} from '../support/blob-service/delivered-generations.ts'
import { drawFaultPlan, noWaits, worldEvents } from '../support/blob-service/fault-plan.ts'
import { MisbehavingService } from '../support/blob-service/misbehaving-service.ts'
import type { ServiceRequest } from '../support/blob-service/protocol.ts'

const url = '/account/logs/a.json'

function serviceWith(content: string): BlobService {
  const service = new BlobService(new SimulatedClock())
  service.createContainer('logs')
  service.create('logs', 'a.json', content)
  return service
}

test('a request is answered with the status, the code and the range that a real account gives', () => {
  const service = serviceWith('0123456789')
  service.create('logs', 'empty.json')
  const etag = service.find('logs', 'a.json')?.etag ?? ''
  const cases: [Partial<ServiceRequest>, number, string | undefined, string | undefined, string][] = [
    [{}, 200, undefined, undefined, '0123456789'],
    [{ headers: { range: 'bytes=2-4' } }, 206, undefined, 'bytes 2-4/10', '234'],
    [{ headers: { 'x-ms-range': 'bytes=8-100' } }, 206, undefined, 'bytes 8-9/10', '89'],
    [{ headers: { 'x-ms-range': 'bytes=7-' } }, 206, undefined, 'bytes 7-9/10', '789'],
    [{ headers: { 'x-ms-range': 'bytes=0-0', range: 'bytes=5-6' } }, 206, undefined, 'bytes 0-0/10', '0'],
    [{ headers: { 'x-ms-range': 'bytes=10-20' } }, 416, 'InvalidRange', 'bytes */10', ''],
    [
      { url: '/account/logs/empty.json', headers: { 'x-ms-range': 'bytes=0-0' } },
      416,
      'InvalidRange',
      'bytes */0',
      '',
    ],
    [{ headers: { 'x-ms-range': 'bytes=4-2' } }, 400, 'InvalidHeaderValue', undefined, ''],
    [
      { headers: { 'if-none-match': etag, 'x-ms-range': 'bytes=99-' } },
      304,
      'ConditionNotMet',
      undefined,
      '',
    ],
    [{ headers: { 'if-match': '"0x1"' } }, 412, 'ConditionNotMet', undefined, ''],
    [{ url: '/account/logs/b.json' }, 404, 'BlobNotFound', undefined, ''],
    [{ url: '/account/other/a.json' }, 404, 'ContainerNotFound', undefined, ''],
    [{ method: 'PUT' }, 400, 'InvalidQueryParameterValue', undefined, ''],
  ]
  for (const [request, status, code, range, body] of cases) {
    const { head, pieces } = service.answer({ method: 'GET', url, headers: {}, ...request })
    const found = [head?.status, head?.headers['x-ms-error-code'], head?.headers['content-range']]
    assert.deepEqual(found, [status, code, range], JSON.stringify(request))
    if (code === undefined) assert.equal(Buffer.concat(pieces).toString(), body)
    else if (status !== 304)
      assert.match(Buffer.concat(pieces).toString(), new RegExp(`<Code>${code}</Code>`))
  }
})

test('HEAD tells everything but the bytes, for errors too', () => {
  const service = serviceWith('0123456789')
  const found = service.answer({ method: 'HEAD', url, headers: {} })
  assert.deepEqual([found.head?.status, found.head?.headers['content-length'], found.pieces], [200, '10', []])
  assert.equal(found.head?.headers['x-ms-creation-time'], 'Tue, 24 Nov 2026 08:47:00 GMT')
  const missing = service.answer({ method: 'HEAD', url: '/account/logs/b.json', headers: {} })
  assert.deepEqual([missing.head?.status, missing.pieces], [404, []])
})

test('each way to replace a blob begins another generation, and growth does not', () => {
  const service = serviceWith('one')
  service.append('logs', 'a.json', ' and more')
  service.touch('logs', 'a.json')
  service.overwrite('logs', 'a.json', 'two')
  service.truncate('logs', 'a.json', 1)
  service.recreate('logs', 'a.json', 'three')
  service.remove('logs', 'a.json')
  service.create('logs', 'a.json', 'four')
  const generations = service.generations('logs', 'a.json')
  assert.deepEqual(
    generations.map(({ content }) => content.toString()),
    ['one and more', 'two', 't', 'three', 'four'],
  )
  const [first = 0, ...later] = generations.map(({ createdAtMs }) => createdAtMs)
  assert.deepEqual(
    later.map((ms) => ms - first),
    [0, 0, 1000, 2000],
  )
})

test('an answer keeps its bytes, whatever happens to the blob while it is on its way', () => {
  const service = serviceWith('0123456789')
  const { pieces } = service.answer({ method: 'GET', url, headers: { 'x-ms-range': 'bytes=0-4' } })
  service.truncate('logs', 'a.json', 2)
  service.append('logs', 'a.json', 'xxxxxx')
  assert.equal(Buffer.concat(pieces).toString(), '01234')
})

test('the contents of the watched blob before and after a replacement differ within 64 bytes, at every offset', () => {
  for (let seed = 1; seed <= 40; seed += 1) {
    const clock = new SimulatedClock()
    const blobs = new BlobService(clock)
    const plan = drawFaultPlan(seed, {
      kinds: worldEvents,
      requests: 60,
      waits: noWaits,
    })
    const service = new MisbehavingService(blobs, plan)
    const request = { method: 'GET', url: '/account/logs/watched.json', headers: {} }
    while (!service.calm) service.answer(request)
    const generations = blobs.generations('logs', 'watched.json')
    for (const [index, { content }] of generations.entries()) {
      const before = generations[index - 1]?.content ?? Buffer.alloc(0)
      const shared = sharedPrefix(before, content)
      for (let end = shared + 1; end <= Math.min(before.length, content.length); end += 1) {
        const from = Math.max(0, end - 64)
        const isNewline = end === shared + 1 && content[shared] === 0x0a
        assert.ok(isNewline || !before.subarray(from, end).equals(content.subarray(from, end)))
      }
    }
  }
})

function sharedPrefix(one: Buffer, other: Buffer): number {
  let length = 0
  while (length < one.length && one[length] === other[length]) length += 1
  return length
}

test('deliveries that lose, repeat, mix or reorder bytes are told of', () => {
  const at = (content: string, second: number) => ({
    createdAtMs: Date.UTC(2026, 10, 24, 8, 47, second),
    content: Buffer.from(content),
  })
  const delivered = (bytes: string, second: number) => ({
    generation: `20261124T08470${second}Z`,
    bytes: Buffer.from(bytes),
  })
  const generations = [at('abcdef', 0), at('ghijkl', 0), at('mnopqr', 5)]
  const whole = delivered('mnopqr', 5)
  const check = (...deliveries: ReturnType<typeof delivered>[]) =>
    assertGenerationsDelivered(generations, deliveries, true)
  check(whole)
  check(delivered('abc', 0), delivered('', 0), whole)
  check(delivered('abc', 0), delivered('ghijkl', 0), whole)
  assert.throws(() => check(), /not delivered whole/)
  assert.throws(() => check(delivered('mnopq', 5)), /not delivered whole/)
  assert.throws(() => check(delivered('ab', 0)), /no prefix/)
  assert.throws(() => check(delivered('abj', 0), whole), /no prefix/)
  assert.throws(() => check(delivered('bc', 0), whole), /no prefix/)
  assert.throws(() => check(delivered('abc', 0), delivered('abc', 0), whole), /no prefix/)
  assert.throws(() => check(delivered('gh', 0), delivered('ab', 0), whole), /no prefix/)
  assert.throws(() => check(whole, whole), /no prefix/)
  assert.throws(() => check(delivered('mnopqr', 0)), /no prefix/)
  assertGenerationsDelivered(generations, [delivered('abc', 0)], false)
})

test('a content that begins with all of an earlier one may be delivered under its instant, and no other', () => {
  const contents = ['ab', '', 'abcd', 'b'].map((text, second) => ({
    createdAtMs: Date.UTC(2026, 10, 24, 8, 47, second),
    content: Buffer.from(text),
  }))
  const generations = contents.map((one, index) => ({
    ...one,
    earlierInstants: continuedInstants(contents, index),
  }))
  assert.deepEqual(
    generations.map(({ earlierInstants }) => earlierInstants),
    [[], [], ['20261124T084700Z'], []],
  )
  const under = (generation: string) => () =>
    assertGenerationsDelivered(generations.slice(0, 3), [{ generation, bytes: Buffer.from('abcd') }], true)
  under('20261124T084700Z')()
  under('20261124T084702Z')()
  assert.throws(under('20261124T084701Z'), /no prefix/)
})
