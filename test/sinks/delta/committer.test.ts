import assert from 'node:assert/strict'
import { once } from 'node:events'
import { join } from 'node:path'
import { isTailraceError, TailraceError } from '../../../src/errors.ts'
import type { Batch } from '../../../src/records.ts'
import { CommitFencedError } from '../../../src/sinks/commit-fence.ts'
import { commitPath, encodeActions } from '../../../src/sinks/delta/protocol/actions.ts'
import { LakehouseSink } from '../../../src/sinks/lakehouse-sink.ts'
import type { EncodedBatch } from '../../../src/sinks/table-committer.ts'
import { FaultyStorage } from './faulty-storage.ts'
import { onEachStorage } from './on-each-storage.ts'
import { committerOf, encode, impatientClock, offsetsOf, span, type Workbench } from './support.ts'

const blob = 'logs/pg.json'

/** A batch of one row for each ten bytes of a range. */
async function batchOf(bench: Workbench, start: number, end: number, name = blob): Promise<EncodedBatch> {
  const offsets = Array.from({ length: Math.ceil((end - start) / 10) }, (_, index) => start + index * 10)
  return encode(
    bench,
    span(name, start, end),
    offsets.map((offset) => ({ offset, seed: offset })),
  )
}

/** A committer over a storage that can fail. */
async function faulty(bench: Workbench) {
  const storage = new FaultyStorage(bench.storage)
  const committer = committerOf(bench, { storage })
  await committer.open()
  return { storage, committer }
}

interface ReadAction {
  readonly commitInfo?: Record<string, unknown>
  readonly txn?: Record<string, unknown>
  readonly add?: Record<string, unknown>
  readonly metaData?: Record<string, unknown>
}

async function actionsOf(bench: Workbench, version: number): Promise<ReadAction[]> {
  const bytes = await bench.storage.read(commitPath(version))
  return String(bytes)
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as ReadAction)
}

onEachStorage(
  'a landed batch is found again by the next process: its rows, its offset, its version',
  async (bench) => {
    const first = committerOf(bench)
    await first.open()
    assert.equal(first.tableVersion, 0)
    assert.deepEqual([...first.landed()], [])

    const source = span(blob, 0, 40)
    assert.deepEqual(await first.land([source], await batchOf(bench, 0, 40)), { tableVersion: 1 })

    const second = committerOf(bench)
    await second.open()
    const offsets = [{ blob, generation: source.generation, offset: 40 }]
    assert.deepEqual([...second.landed()], offsets)
    assert.deepEqual([...first.landed()], offsets)
    assert.equal(second.tableVersion, 1)
    assert.deepEqual(await offsetsOf(bench, blob), [0, 10, 20, 30])
    assert.deepEqual((await bench.storage.list('_delta_log')).sort(), [
      '00000000000000000000.json',
      '00000000000000000001.json',
    ])
  },
)

onEachStorage(
  'a commit holds commitInfo first, an offset per blob with its time, and files with statistics',
  async (bench) => {
    const committer = committerOf(bench)
    await committer.open()
    const spans = [span('logs/a', 0, 40), span('logs/b', 0, 9)]
    await committer.land(spans, await batchOf(bench, 0, 40, 'logs/a'))

    const [info, ...rest] = await actionsOf(bench, 1)
    assert.equal(info?.commitInfo?.isBlindAppend, true)
    assert.equal(info?.commitInfo?.operation, 'STREAMING UPDATE')
    assert.deepEqual(info?.commitInfo?.operationMetrics, { numAddedFiles: '4', numOutputRows: '4' })
    const transactions = rest.flatMap(({ txn }) => (txn ? [txn] : []))
    assert.deepEqual(
      transactions.map(({ appId, version }) => [appId, version]),
      [
        ['tailrace:logs/a@20261124T084700Z', 40],
        ['tailrace:logs/b@20261124T084700Z', 9],
      ],
    )
    assert.ok(transactions.every(({ lastUpdated }) => typeof lastUpdated === 'number'))
    const adds = rest.flatMap(({ add }) => (add ? [add] : []))
    assert.equal(adds.length, 4)
    assert.ok(adds.every(({ stats }) => JSON.parse(String(stats)).numRecords === 1))
  },
)

onEachStorage('a batch without rows moves the offset', async (bench) => {
  const committer = committerOf(bench)
  await committer.open()
  await committer.land([span(blob, 0, 40)], await batchOf(bench, 0, 0))
  assert.equal(committer.landed().get({ blob, generation: '20261124T084700Z' }), 40)
  assert.deepEqual(await offsetsOf(bench, blob), [])
})

onEachStorage('a second writer of the same blob is fenced and leaves nothing behind', async (bench) => {
  const [first, zombie] = [committerOf(bench), committerOf(bench)]
  await first.open()
  await zombie.open()
  await first.land([span(blob, 0, 40)], await batchOf(bench, 0, 40))
  const files = await bench.dataFiles()

  const late = await batchOf(bench, 0, 50)
  await assert.rejects(zombie.land([span(blob, 0, 50)], late), (error) =>
    isTailraceError(error, 'COMMIT_FENCED'),
  )
  assert.deepEqual(await bench.dataFiles(), files)
  assert.deepEqual(await offsetsOf(bench, blob), [0, 10, 20, 30])
  // What it knows is now current, so what starts at the table's offset lands.
  await zombie.land([span(blob, 40, 60)], await batchOf(bench, 40, 60))
  assert.deepEqual(await offsetsOf(bench, blob), [0, 10, 20, 30, 40, 50])
})

onEachStorage(
  'a fenced batch names each blob that another process moved, with the offset of the table',
  async (bench) => {
    const { storage, committer } = await faulty(bench)
    const other = committerOf(bench)
    await other.open()
    const empty = await batchOf(bench, 0, 0)
    // Two commits win the same race, and the second one moves the offset.
    storage.beforePut.push(async () => {
      await other.land([span('logs/else', 0, 10)], empty)
      await other.land([span(blob, 0, 30)], empty)
    })
    const [moved, alone] = [span(blob, 0, 40), span('logs/alone', 0, 5)]
    await assert.rejects(committer.land([moved, alone], await batchOf(bench, 0, 40)), (error) => {
      assert.ok(error instanceof CommitFencedError)
      assert.deepEqual(error.fenced, [{ span: moved, landedTo: 30 }])
      assert.equal(
        error.message,
        `Another process moved an offset: ${blob}@20261124T084700Z: found offset 30 in the table, expected 0.`,
      )
      return true
    })
    assert.equal(committer.landed().get(moved), 30)
    await committer.land([alone], empty)
    assert.deepEqual(await bench.dataFiles(), [])
  },
)

onEachStorage(
  'a batch that does not start at the known offset is fenced before anything is written',
  async (bench) => {
    const { committer } = await faulty(bench)
    await committer.land([span(blob, 0, 40)], await batchOf(bench, 0, 40))
    for (const [start, end] of [
      [0, 40],
      [30, 60],
      [50, 60],
    ] as const) {
      const batch = await batchOf(bench, start, end)
      await assert.rejects(committer.land([span(blob, start, end)], batch), (error) =>
        isTailraceError(error, 'COMMIT_FENCED'),
      )
    }
    assert.equal(committer.tableVersion, 1)
  },
)

onEachStorage('each generation of a blob has its own offset, also of a blob with an @', async (bench) => {
  const name = 'logs/a@b@20261124T084700Z'
  const committer = committerOf(bench)
  await committer.open()
  const empty = await batchOf(bench, 0, 0)
  await committer.land([span(name, 0, 40)], empty)
  await committer.land([span(name, 0, 20, '20270101T000000Z.2')], empty)
  const offsets = [
    { blob: name, generation: '20261124T084700Z', offset: 40 },
    { blob: name, generation: '20270101T000000Z.2', offset: 20 },
  ]
  assert.deepEqual([...committer.landed()], offsets)
  await committer.open()
  assert.deepEqual([committer.tableVersion, ...committer.landed()], [2, ...offsets])
})

for (const fault of ['lost-reply', 'lost-request', 'late-request'] as const) {
  onEachStorage(`a commit whose answer is missing (${fault}) lands exactly once`, async (bench) => {
    const { storage, committer } = await faulty(bench)
    storage.failNext(fault)
    assert.deepEqual(await committer.land([span(blob, 0, 40)], await batchOf(bench, 0, 40)), {
      tableVersion: 1,
    })
    assert.deepEqual(await committer.land([span(blob, 40, 60)], await batchOf(bench, 40, 60)), {
      tableVersion: 2,
    })
    assert.equal(storage.unusedFaults, 0)
    assert.deepEqual(await offsetsOf(bench, blob), [0, 10, 20, 30, 40, 50])
  })
}

onEachStorage(
  'a commit that lost its answer and its version to another writer lands on the next version',
  async (bench) => {
    const { storage, committer } = await faulty(bench)
    const other = committerOf(bench)
    await other.open()
    storage.failNext('lost-request')
    const foreign = await batchOf(bench, 0, 20, 'logs/other')
    storage.beforePut.push(
      async () => {},
      async () => {
        await other.land([span('logs/other', 0, 20)], foreign)
      },
    )
    assert.deepEqual(await committer.land([span(blob, 0, 40)], await batchOf(bench, 0, 40)), {
      tableVersion: 2,
    })
    assert.deepEqual(await offsetsOf(bench, blob), [0, 10, 20, 30])
    assert.deepEqual(await offsetsOf(bench, 'logs/other'), [0, 10])
  },
)

onEachStorage(
  'a commit that is never answered keeps its files in place, and lands once if it arrives later',
  async (bench) => {
    const { storage, committer } = await faulty(bench)
    storage.failNext(...Array.from({ length: 49 }, () => 'lost-request' as const), 'late-request')
    await assert.rejects(
      committer.land([span(blob, 0, 40)], await batchOf(bench, 0, 40)),
      (error) => isTailraceError(error, 'COMMIT_UNKNOWN') && error.context.reason === 'COMMIT_CONTENDED',
    )
    assert.equal((await bench.dataFiles()).length, 4)
    // The request arrives after all, just before the repetition.
    await assert.rejects(committer.land([span(blob, 0, 40)], await batchOf(bench, 0, 40)), (error) =>
      isTailraceError(error, 'COMMIT_FENCED'),
    )
    assert.deepEqual(await offsetsOf(bench, blob), [0, 10, 20, 30])
  },
)

onEachStorage(
  'a sink does not repeat a commit of unknown outcome, and the next start lands its rows once',
  async (_bench, _t, anew) => {
    for (const [fault, restartsAt] of [
      ['lost-request', undefined],
      ['lost-reply', 40],
    ] as const) {
      const bench = await anew()
      const { storage, committer } = await faulty(bench)
      const encoded = await batchOf(bench, 0, 40)
      const sink = new LakehouseSink({
        encoder: { encode: async () => encoded },
        committer,
        offsets: { mirror: async () => {} },
        clock: impatientClock,
        retry: { maxAttempts: 3 },
      })
      storage.failNext(fault)
      storage.failNextRead(new TailraceError('TABLE_UNAVAILABLE', 'The file system failed.'))
      const failure = once(sink, 'error')
      sink.write({
        id: 'b1',
        spoolPath: join(bench.staging, 'b1.spool'),
        spans: [span(blob, 0, 40)],
        rows: 4,
        rejected: 0,
        spoolBytes: 40,
        longestRowBytes: 10,
        largestVectorBytes: 10,
        openedAtMs: 0,
        sealedAtMs: 0,
      } satisfies Batch)
      const [error] = await failure
      assert.ok(isTailraceError(error, 'COMMIT_UNKNOWN'))
      assert.equal(error.context.reason, 'TABLE_UNAVAILABLE')
      assert.equal(error.disposition, 'halt')

      const restarted = committerOf(bench)
      await restarted.open()
      const offset = restarted.landed().get({ blob, generation: '20261124T084700Z' })
      assert.equal(offset, restartsAt)
      if (offset === undefined) await restarted.land([span(blob, 0, 40)], await batchOf(bench, 0, 40))
      assert.deepEqual(await offsetsOf(bench, blob), [0, 10, 20, 30])
    }
  },
)

onEachStorage(
  'a winner that cannot be read leaves no doubt: the batch can be landed again',
  async (bench) => {
    const { storage, committer } = await faulty(bench)
    const other = committerOf(bench)
    await other.open()
    const empty = await batchOf(bench, 0, 0)
    storage.beforePut.push(async () => {
      await other.land([span('logs/other', 0, 10)], empty)
    })
    storage.failNextRead(new TailraceError('TABLE_UNAVAILABLE', 'The file system failed.'))
    const batch = await batchOf(bench, 0, 40)
    await assert.rejects(committer.land([span(blob, 0, 40)], batch), (error) =>
      isTailraceError(error, 'TABLE_UNAVAILABLE'),
    )
    assert.deepEqual(await bench.dataFiles(), [])
    assert.deepEqual(await committer.land([span(blob, 0, 40)], batch), { tableVersion: 2 })
  },
)

onEachStorage('a new table asks no writer to drop offsets that are long unchanged', async (bench) => {
  await committerOf(bench).open()
  const { metaData } = (await actionsOf(bench, 0)).find((action) => action.metaData !== undefined)!
  assert.deepEqual(metaData?.configuration, {
    'delta.checkpointInterval': '20',
    // Of no meaning to any engine; it keeps former releases away.
    'delta.enableIcebergCompatV0': 'true',
    'tailrace.formatVersion': '1',
  })
})

onEachStorage('a full disk leaves the batch staged, so that it can be landed again', async (bench) => {
  const { storage, committer } = await faulty(bench)
  const batch = await batchOf(bench, 0, 40)
  storage.failNext(new TailraceError('DISK_FULL', 'No space left.'))
  await assert.rejects(committer.land([span(blob, 0, 40)], batch), (error) =>
    isTailraceError(error, 'DISK_FULL'),
  )
  assert.deepEqual(await bench.dataFiles(), [])
  assert.deepEqual(await committer.land([span(blob, 0, 40)], batch), { tableVersion: 1 })
  assert.deepEqual(await offsetsOf(bench, blob), [0, 10, 20, 30])
})

onEachStorage('a missing staged file lands nothing of its batch', async (bench) => {
  const { committer } = await faulty(bench)
  const batch = await batchOf(bench, 0, 40)
  const broken = {
    ...batch,
    files: [...batch.files, { ...batch.files[0]!, path: join(bench.staging, 'gone') }],
  }
  await assert.rejects(committer.land([span(blob, 0, 40)], broken), (error) =>
    isTailraceError(error, 'TABLE_UNSUPPORTED'),
  )
  assert.deepEqual(await bench.dataFiles(), [])
  assert.deepEqual(await committer.land([span(blob, 0, 40)], batch), { tableVersion: 1 })
})

onEachStorage(
  'a winner that changes the schema so that rows no longer fit stops the commit',
  async (bench) => {
    const { storage, committer } = await faulty(bench)
    const created = (await actionsOf(bench, 0)).find(({ metaData }) => metaData)?.metaData as {
      schemaString: string
    }
    const changed = {
      ...created,
      schemaString: created.schemaString.replace('"pid","type":"integer"', '"pid","type":"long"'),
    }
    storage.beforePut.push(async () => {
      await bench.storage.put(commitPath(1), Buffer.from(`${JSON.stringify({ metaData: changed })}\n`))
    })
    await assert.rejects(
      committer.land([span(blob, 0, 40)], await batchOf(bench, 0, 40)),
      (error) =>
        isTailraceError(error, 'TABLE_SCHEMA_MISMATCH') &&
        /pid is long, expected integer/.test(error.message),
    )
    assert.deepEqual(await bench.dataFiles(), [])
    await assert.rejects(committer.land([span(blob, 0, 40)], await batchOf(bench, 0, 40)), (error) =>
      isTailraceError(error, 'TABLE_SCHEMA_MISMATCH'),
    )
  },
)

onEachStorage('a winner that adds a column, and a foreign writer, do not stop the commit', async (bench) => {
  const { storage, committer } = await faulty(bench)
  const created = (await actionsOf(bench, 0)).find(({ metaData }) => metaData)?.metaData as {
    schemaString: string
  }
  const added =
    '{"name":"extra","type":{"type":"array","elementType":"string","containsNull":true},"nullable":true,"metadata":{}}'
  const schemaString = created.schemaString.replace(/\]\}$/, `,${added}]}`)
  storage.beforePut.push(async () => {
    const foreign = [
      { commitInfo: { operation: 'ADD COLUMNS' } },
      { metaData: { ...created, schemaString } },
      { somethingNew: { value: 1 } },
    ]
    const big = '{"txn":{"appId":"other","version":9007199254740993}}'
    await bench.storage.put(
      commitPath(1),
      Buffer.from(`${foreign.map((line) => JSON.stringify(line)).join('\n')}\n${big}\n`),
    )
  })
  assert.deepEqual(await committer.land([span(blob, 0, 40)], await batchOf(bench, 0, 40)), {
    tableVersion: 2,
  })
})

onEachStorage(
  'a table with an unknown feature is refused by name, at the start and in the middle',
  async (bench) => {
    const { committer } = await faulty(bench)
    const protocol = {
      minReaderVersion: 3,
      minWriterVersion: 7,
      readerFeatures: [],
      writerFeatures: ['rowTracking'],
    }
    await bench.storage.put(commitPath(1), encodeActions([{ protocol }]))
    const refused = (error: unknown) =>
      isTailraceError(error, 'TABLE_UNSUPPORTED') && /rowTracking/.test(error.message)
    await assert.rejects(committer.land([span(blob, 0, 40)], await batchOf(bench, 0, 40)), refused)
    await assert.rejects(committerOf(bench).open(), refused)
  },
)

onEachStorage('two processes that create the table at once share one', async (bench) => {
  const committers = Array.from({ length: 5 }, () => committerOf(bench))
  await Promise.all(committers.map((committer) => committer.open()))
  await Promise.all(
    committers.map(async (committer, index) =>
      committer.land([span(`logs/${index}`, 0, 40)], await batchOf(bench, 0, 0)),
    ),
  )
  assert.deepEqual((await bench.storage.list('_delta_log')).length, 6)
})
