import assert from 'node:assert/strict'
import test from 'node:test'
import { committerFixture, rowsOf, type Step, span } from '../committer-fixture.ts'

/** The statement of a replay takes effect, its reply is lost, and it is sent again. */
const replyLost: Step = async (name, call) => {
  if (name === 'replace the rows of a range') await call()
  return call()
}

for (const transactionReads of ['files', 'copy'] as const) {
  test(`a replay whose reply is lost leaves the new rows once, in transactions that read by ${transactionReads}`, async (t) => {
    const fixture = await committerFixture(t, { transactionReads })
    const range = span(50, 150)
    const first = await fixture.open('logs', { mode: 'transaction' })
    await first.land([span(0, 200)], await fixture.encode(span(0, 200)))
    await first.close()
    const second = await fixture.open('logs', { mode: 'transaction', step: replyLost })
    await second.replace(range, [await fixture.encode(range, 'new')])
    await second.close()
    assert.deepEqual(await fixture.rows('logs'), [
      ...rowsOf({ start: 0, end: 50 }),
      ...rowsOf(range, 'new'),
      ...rowsOf({ start: 150, end: 200 }),
    ])
  })
}
