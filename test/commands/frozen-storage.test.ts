import assert from 'node:assert/strict'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { type Clock, systemClock } from '../../src/clock.ts'
import type { CommandContext } from '../../src/commands/command.ts'
import { status } from '../../src/commands/status.ts'
import { verify } from '../../src/commands/verify.ts'
import { resolveConfig } from '../../src/config/resolve.ts'
import type { ResolvedConfig } from '../../src/config/resolved.ts'
import { isTailraceError } from '../../src/errors.ts'
import { postgresLogs } from '../../src/tables/postgres/logs.ts'
import { faultyProxy } from '../support/faulty-proxy.ts'
import { containerName, startStorage } from '../support/storage.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { landAll, lines, outputOf } from './command-fixture.ts'

/** The documented limit of a command's end after storage's last answer. */
const maxEndMs = 90_000

/** The machine's clock, many times as fast. */
class FastClock implements Clock {
  readonly #speed = 30
  readonly #startedMs = systemClock.now()

  now(): number {
    return this.#startedMs + (systemClock.now() - this.#startedMs) * this.#speed
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return systemClock.sleep(ms / this.#speed, signal)
  }

  after(ms: number, fire: () => void): () => void {
    return systemClock.after(ms / this.#speed, fire)
  }
}

/** Landed blobs behind a proxy, of which one has lines without rows: `verify` reads it. */
async function landedBehindProxy(t: TestContext, tables: 'local' | 'azure') {
  const storage = await startStorage(t)
  const direct = new URL(/BlobEndpoint=([^;]+)/.exec(storage.connectionString)?.[1] ?? '')
  const proxy = await faultyProxy(t, Number(direct.port))
  const connectionString = storage.connectionString.replaceAll(`:${direct.port}/`, `:${proxy.port}/`)
  const directory = await temporaryDirectory(t)
  const account = `http://127.0.0.1:${proxy.port}${direct.pathname}`
  const config: ResolvedConfig = resolveConfig(
    {
      pipelines: {
        logs: {
          source: {
            storage: { kind: 'connection-string', connectionString },
            container: containerName,
            blobs: 'p/*.json',
            pollMs: 100,
          },
          table: postgresLogs('test.logs.logs'),
          transforms: [(record) => (record.line_num === 3 ? null : record)],
          sink: {
            kind: 'delta',
            root: tables === 'local' ? 'lakehouse' : `${account}/${containerName}/lakehouse`,
          },
        },
      },
      stateDirectory: join(directory, 'state'),
      disk: { minFreeBytes: 0 },
    },
    directory,
  )
  await storage.append('p/a.json', lines(0, 5))
  await storage.append('p/b.json', lines(5, 5))
  await landAll(config)
  return { config, proxy }
}

const commands: Readonly<Record<string, (context: CommandContext) => Promise<number>>> = {
  status: (context) => status(context, undefined, true),
  verify: (context) => verify(context, undefined, true),
}

for (const tables of ['local', 'azure'] as const) {
  test(`status and verify end within 90 s of the last answer of a storage that freezes at any request (${tables} table)`, async (t) => {
    const { config, proxy } = await landedBehindProxy(t, tables)
    for (const [name, command] of Object.entries(commands)) {
      const requests = proxy.seen.length
      proxy.plan(() => undefined)
      const { code } = await outputOf(config, command)
      assert.equal(code, 0)
      const count = proxy.seen.length - requests
      assert.ok(count > 0, `${name} asks storage`)
      for (let answered = 0; answered < count; answered += 1) {
        const clock = new FastClock()
        let left = answered
        let lastAnswerMs = clock.now()
        proxy.plan(() => {
          left -= 1
          if (left < 0) return 'stalled'
          lastAnswerMs = clock.now()
          return undefined
        })
        const failing = outputOf(config, (context) => command({ ...context, clock }))
        const codes = ['SOURCE_UNAVAILABLE', 'TABLE_UNAVAILABLE'] as const
        await assert.rejects(failing, (error) => codes.some((one) => isTailraceError(error, one)))
        const endMs = clock.now() - lastAnswerMs
        // The machine's own work counts many times.
        assert.ok(endMs <= maxEndMs * 1.2, `${name} after ${answered} answers: ${endMs} ms`)
      }
    }
  })
}
