import assert from 'node:assert/strict'
import test from 'node:test'
import { faultyProxy } from '../support/faulty-proxy.ts'
import { runTailrace } from '../support/run-tailrace.ts'
import { startStorage } from '../support/storage.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { writeProject } from '../support/test-project.ts'

/** The documented limit of a command's end after storage's last answer. */
const maxEndMs = 90_000

test('the status process against a frozen storage ends with a code, and names the account', async (t) => {
  const storage = await startStorage(t)
  const direct = new URL(/BlobEndpoint=([^;]+)/.exec(storage.connectionString)?.[1] ?? '')
  const proxy = await faultyProxy(t, Number(direct.port))
  proxy.plan(() => 'stalled')
  const project = await writeProject(await temporaryDirectory(t), {
    storage: {
      kind: 'connection-string',
      connectionString: storage.connectionString.replaceAll(`:${direct.port}/`, `:${proxy.port}/`),
    },
    pipelines: { primary: { blobs: 'one.json' } },
  })
  const startedMs = Date.now()
  const run = await runTailrace(t, ['status', '--config', project.configPath])
  assert.equal(run.code, 1, run.stderr)
  assert.match(run.stderr, /SOURCE_UNAVAILABLE/)
  assert.ok(Date.now() - startedMs <= maxEndMs)
})
