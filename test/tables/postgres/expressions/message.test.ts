import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkEach, rowOf } from '../../../sinks/encoder-harness.ts'

function record(message: string, others: object = {}): object {
  return {
    timestamp: '2026-11-24 08:54:35.875 UTC',
    pid: 1,
    error_severity: 'LOG',
    message,
    ps: 'idle',
    ...others,
  }
}

test('durations and statements are taken from messages', async (t) => {
  await checkEach(
    [
      ['duration: 12.345 ms  statement: select 1', 12.345, 'select 1'],
      ['duration: 0.012 ms  execute P_1: select a: b', 0.012, 'select a: b'],
      ['duration: 0.5 ms  bind <unnamed>: update t set x = $1', 0.5, 'update t set x = $1'],
      ['duration: 3 ms  parse S_2/C_1: é ß\nselect', 3, 'é ß\nselect'],
      ['duration: 1.5 ms  execute fetch from c1: select 2', 1.5, 'select 2'],
      ['duration: 7.25 ms', 7.25, null],
      ['duration: 1.5 ms  plan:\nQuery Text: select 1', 1.5, null],
      ['statement: begin', null, 'begin'],
      ['execute S_1: commit', null, 'commit'],
      ['duration: soon', null, null],
      ['duration: 5', null, null],
      ...[
        'NaN',
        'nan',
        'inf',
        '-Infinity',
        '1e999',
        '1e3',
        '1_000',
        '-1',
        '+1',
        ' 1',
        '1.',
        '.5',
        '9'.repeat(400),
      ].map((odd) => [`duration: ${odd} ms  statement: select 1`, null, 'select 1'] as const),
      ['Dauer: 12 ms  Anweisung: select 1', null, null],
      ['executed nothing', null, null],
    ] as const,
    async ([message, duration, statement]) => {
      const row = await rowOf(t, record(message))
      assert.deepEqual([row.duration_ms, row.statement, row.message], [duration, statement, message], message)
      assert.equal(row.parse_status, 'ok')
    },
  )
})

test('a duration knows the phase that it is of', async (t) => {
  await checkEach(
    [
      ['duration: 12.345 ms  statement: bind', 'statement'],
      ['duration: 12.345 ms  parse <unnamed>: select 1', 'parse'],
      ['duration: 12.345 ms  bind S_1: select 1', 'bind'],
      ['duration: 12.345 ms  execute S_1: select 1', 'execute'],
      ['duration: 12.345 ms  execute fetch from S_1/C_2: select 1', 'execute'],
      ['duration: 12.345 ms  fastpath function call: "lo_open" (OID 952)', 'fastpath'],
      ['duration: 0.5 ms  bind S_1: select 1', 'bind'],
      ['duration: 12.345 ms  plan:\nQuery Text: select 1', null],
      ['duration: 12.345 ms', null],
      ['duration: 12.345 ms  statements', null],
      ['statement: select 1', null],
    ] as const,
    async ([message, phase]) => {
      assert.equal((await rowOf(t, record(message))).duration_phase, phase, message)
      const wrapped = { log: `2026-11-24 08:54:35.875 UTC [77] LOG:  ${message}\n`, stream: 'stderr' }
      assert.equal((await rowOf(t, wrapped)).duration_phase, phase, message)
    },
  )
})

test('the statement key of a record counts more than its message', async (t) => {
  assert.equal((await rowOf(t, record('duration: 1 ms  statement: a', { statement: 'b' }))).statement, 'b')
})

test('a pgaudit message is read as CSV, quotes, commas and newlines included', async (t) => {
  const quoted = await rowOf(
    t,
    record(
      'AUDIT: OBJECT,33,1,WRITE,UPDATE,TABLE,"public.""odd, name""","update ""t"" set a = \'x,y\'\nwhere b = 1","1,""two"""',
    ),
  )
  assert.deepEqual(
    [quoted.audit_class, quoted.command_tag, quoted.object_type, quoted.object_name, quoted.statement],
    ['WRITE', 'UPDATE', 'TABLE', 'public."odd, name"', 'update "t" set a = \'x,y\'\nwhere b = 1'],
  )
})

test('a pgaudit message may leave out its object or its last fields', async (t) => {
  const noObject = await rowOf(t, record('AUDIT: SESSION,1,1,MISC,SET,,,"set a = 1",<not logged>'))
  assert.deepEqual(
    [
      noObject.audit_class,
      noObject.command_tag,
      noObject.object_type,
      noObject.object_name,
      noObject.statement,
    ],
    ['MISC', 'SET', null, null, 'set a = 1'],
  )
  const short = await rowOf(t, record('AUDIT: SESSION,1,1,READ,SELECT,TABLE,public.t,<previously logged>'))
  assert.deepEqual(
    [short.audit_class, short.object_name, short.statement],
    ['READ', 'public.t', '<previously logged>'],
  )
  const long = await rowOf(t, record('AUDIT: SESSION,1,1,READ,SELECT,TABLE,public.t,select 1,<none>,5'))
  assert.deepEqual([long.statement, long.command_tag], ['select 1', 'SELECT'])
  const broken = await rowOf(t, record('AUDIT: SESSION,1'))
  assert.deepEqual([broken.audit_class, broken.command_tag, broken.statement], [null, 'idle', null])
})
