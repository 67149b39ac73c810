import assert from 'node:assert/strict'
import { mkdir } from 'node:fs/promises'
import { test } from 'node:test'
import type { OperateState } from '../../src/page/api-operate.ts'
import { LiveStatusFile } from '../../src/run/live-status.ts'
import { openBench } from '../commands/command-fixture.ts'
import { servePage } from './served-page.ts'

test('the commits of each pipeline are shown however many pipelines there are, and those of an ended process are not', async (t) => {
  const bench = await openBench(t)
  const config = bench.config({ one: {}, two: {}, three: {}, ended: {} })
  const page = await servePage(t, config)
  const nowMs = Date.now()
  const commits = Array.from({ length: 120 }, (_, index) => ({
    atMs: nowMs - 120_000 + index * 1_000,
    rows: 1,
    rejected: 0,
    bytes: 100,
    encodeMs: 1,
    commitMs: 1,
  }))
  const status = {
    pid: 1,
    isRunning: true,
    phase: 'following' as const,
    rowsPerSecond: 1,
    bytesPerSecond: 100,
    lagBytes: 0,
    lagSeconds: 0,
    rows: 120,
    rejected: 0,
    partial: 0,
    bytes: 12_000,
    batches: 120,
    servers: [],
    lanes: 1,
    setAside: 0,
    queuedBlobs: 0,
    waitingRows: 0,
    bufferedBytes: 0,
    isHeld: false,
    blobs: [],
    retries: [],
    failures: [],
    requests: 0,
    usdPerDay: 0,
    commits,
  }
  await mkdir(config.stateDirectory, { recursive: true })
  for (const name of ['one', 'two', 'three', 'ended']) {
    const atMs = name === 'ended' ? nowMs - 60_000 : nowMs
    await new LiveStatusFile(config.stateDirectory, name).replace({ ...status, atMs })
  }
  const shown = await page.json<OperateState>('/api/operate')
  for (const name of ['one', 'two', 'three'])
    assert.equal(shown.commits.filter(({ pipeline }) => pipeline === name).length, commits.length, name)
  assert.equal(shown.commits.length, 3 * commits.length)
  assert.equal(shown.pipelines.find(({ name }) => name === 'ended')?.state, 'not running')
})
