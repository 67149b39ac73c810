import assert from 'node:assert/strict'
import { Writable } from 'node:stream'
import { test } from 'node:test'
import { systemClock } from '../../../src/clock.ts'
import type { EntryBlock } from '../../../src/records.ts'
import { silentLogger } from '../../../src/reporting/logger.ts'
import { Lane } from '../../../src/run/lanes/lane.ts'
import { sourceOptions } from '../../../src/sources/options.ts'
import { LongLines } from '../../../src/streams/staging/long-lines.ts'
import { Staging } from '../../../src/streams/staging/staging.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'
import { MemoryContainer } from './memory-container.ts'

test('a lane that fails with a long line ends its turn, and one whose line is taken does not', async (t) => {
  const staging = new Staging(await temporaryDirectory(t), 1e9)
  const longLines = new LongLines({ staging })
  const reader = new MemoryContainer()
  reader.appendText('p/a', `{"a":"${'x'.repeat(2 * 1024 * 1024)}"}\n`)
  const { createdAt } = (await reader.read('p/a', { offset: 0, maxBytes: 1 })) as { createdAt: string }
  const laneTo = (
    write: (block: EntryBlock, onTaken: (block: EntryBlock) => void) => void,
  ): Promise<unknown> => {
    const lane = new Lane({
      source: sourceOptions.parse({ storage: { kind: 'embedded' }, container: 'logs', blobs: 'p/a' }),
      customStages: () => [],
      reader,
      blobName: 'p/a',
      start: {
        generation: createdAt,
        createdAt,
        offset: 0,
        insideLine: false,
        before: undefined,
        resume: undefined,
        head: undefined,
        framing: 'lines',
      },
      follow: false,
      longLines,
      staging,
      clock: systemClock,
      logger: silentLogger,
    })
    return lane.run(
      (onTaken) =>
        new Writable({
          objectMode: true,
          write: (block: EntryBlock, _encoding, done) => {
            try {
              write(block, onTaken)
              done()
            } catch (error) {
              done(error as Error)
            }
          },
        }),
    )
  }
  const failing = laneTo(() => {
    throw new Error('the inlet is closed')
  })
  await assert.rejects(failing, /the inlet is closed/)
  let taken: EntryBlock | undefined
  await laneTo((block, onTaken) => {
    onTaken(block)
    taken = block
  })
  let isNext = false
  const next = longLines.takeTurn(new AbortController().signal).then(() => (isNext = true))
  await new Promise((resolve) => setTimeout(resolve, 50))
  assert.equal(isNext, false)
  taken?.release?.()
  await next
})
