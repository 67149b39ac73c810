import assert from 'node:assert/strict'
import { mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { errors, isTailraceError } from '../../src/errors.ts'
import { createLogger, type Logger, silentLogger } from '../../src/reporting/logger.ts'
import { statementsUnderWay } from '../../src/sinks/encoding/engine.ts'
import { errorReply, type Reply, type ServiceRequest } from '../support/blob-service/protocol.ts'
import { type FileCall, systemError, watchFileCalls } from '../support/faults/file-calls.ts'
import {
  assertWorldLanded,
  assertWorldMirrored,
  inDirectory,
  type LandingOptions,
  type LandingWorld,
  landingWorld,
  landWorld,
  stateDirectoryOf,
} from '../support/faults/landing-world.ts'
import { watchStatements } from '../support/faults/statement-calls.ts'
import { HastyClock } from '../support/hasty-clock.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

// TAILRACE_EVERY_CALL=all lets every call fail in every way. Without it each call fails in one way, by its number.
const isWhole = process.env.TAILRACE_EVERY_CALL === 'all'

/** The default of `stopMs`: a run that takes longer to land these few lines, or to give up, has stopped going on. */
const maxRunMs = 30_000

/** A start that nobody has left anything for, or one after a process that was ended at its first landed batch. */
const starts = ['first', 'second'] as const
type Start = (typeof starts)[number]

/** The call that fails, counted from 0, and whether it has been made. */
interface Strike {
  readonly number: number
  calls: number
  /** What was called; undefined as long as the call has not been made. */
  struck?: string
}

/** A kind of call, the ways in which one fails, and how it is made to fail. */
interface CallKind {
  readonly name: string
  readonly ways: readonly string[]
  arm(t: TestContext, strike: Strike, way: string, world: LandingWorld): Promise<Armed> | Armed
}

interface Armed {
  readonly options?: Partial<LandingOptions>
  disarm(): void
}

/** Counts a call. @returns whether it is the one to fail */
function meets(strike: Strike, what: string): boolean {
  if (strike.calls++ !== strike.number) return false
  strike.struck = what
  return true
}

const files: CallKind = {
  name: 'file system call',
  ways: ['EIO', 'ENOSPC', 'EMFILE', 'EACCES'],
  async arm(t, strike, way, world) {
    const before = (call: FileCall): undefined => {
      if (!call.path.startsWith(world.directory)) return
      if (meets(strike, `${call.name} ${call.path.slice(world.directory.length)}`))
        throw systemError(way, call)
    }
    return { disarm: await watchFileCalls(t, { before }) }
  },
}

const shortWrites: CallKind = {
  name: 'write of a file',
  ways: ['only 1 byte written'],
  async arm(t, strike, _way, world) {
    const before = ({ name, path }: FileCall): number | undefined => {
      if (name !== 'file.write' || !path.startsWith(world.directory)) return undefined
      return meets(strike, path.slice(world.directory.length)) ? 1 : undefined
    }
    return { disarm: await watchFileCalls(t, { before }) }
  },
}

const statements: CallKind = {
  name: 'engine statement',
  ways: [
    'Out of Memory Error: failed to allocate data of size 1.0 MiB (199.9 MiB/200.0 MiB used)',
    'IO Error: Could not write file: Input/output error',
    'Invalid Input Error: injected',
    'INTERNAL Error: injected',
  ],
  arm(t, strike, way) {
    return {
      disarm: watchStatements(t, (sql) => {
        if (meets(strike, sql.slice(0, 60))) throw new Error(way)
      }),
    }
  },
}

const requests: CallKind = {
  name: 'storage request',
  ways: ['timeout', 'stall in the body', 'reset', 'reset in the body', '500', '403'],
  arm(_t, strike, way, world) {
    const answer = (request: ServiceRequest): Reply => {
      const reply = world.service.answer(request)
      if (!meets(strike, `${request.method} ${request.url}`)) return reply
      const { head, ...headless } = reply
      const body = Buffer.concat(reply.pieces)
      // An answer without a body is complete with its head, so there the head is what does not come.
      const begun = body.length === 0 ? headless : { ...reply, pieces: [body.subarray(0, body.length >> 1)] }
      switch (way) {
        case 'timeout':
          return { ...headless, ending: 'stall' }
        case 'stall in the body':
          return { ...begun, ending: 'stall' }
        case 'reset':
          return { ...headless, pieces: [], ending: 'reset' }
        case 'reset in the body':
          return { ...begun, ending: 'reset' }
        case '500':
          return errorReply(request, 500, 'InternalError', 'Server encountered an internal error.')
        default:
          return errorReply(request, 403, 'AuthorizationFailure', 'This request is not authorized.')
      }
    }
    return { options: { storage: { answer } }, disarm: () => {} }
  },
}

for (const kind of [files, shortWrites, statements, requests]) {
  test(`when any ${kind.name} of a start fails once, each line lands once, and an error that ends the run has a code`, async (t) => {
    const directory = await temporaryDirectory(t)
    const endings: Record<string, number> = {}
    const faults: string[] = []
    let failed = 0
    for (const start of starts) {
      for (const [index, way] of (isWhole ? kind.ways : [undefined]).entries()) {
        for (let number = 0; ; number += 1) {
          const strike: Strike = { number, calls: 0 }
          const place = join(directory, `${start}-${index}-${number}`)
          const wayNow = way ?? kind.ways[number % kind.ways.length]!
          const result = await landThrough(t, { kind, start, way: wayNow, strike, place }).catch(
            (error: Error) => {
              faults.push(error.message)
              return undefined
            },
          )
          if (strike.struck === undefined) break
          failed += 1
          if (result !== undefined) endings[result] = (endings[result] ?? 0) + 1
        }
      }
    }
    assert.deepEqual(faults, [])
    t.diagnostic(`${failed} calls failed; how the runs ended: ${JSON.stringify(endings)}`)
  })
}

/**
 * Lands a world in a start in which one call fails, and once more.
 *
 * @returns the code of the error that ended the start, or that it went on
 */
async function landThrough(
  t: TestContext,
  given: {
    readonly kind: CallKind
    readonly start: Start
    readonly way: string
    readonly strike: Strike
    readonly place: string
  },
): Promise<string> {
  const { kind, start, way, strike, place } = given
  const world = inDirectory(landingWorld('', 11, 1), place)
  await mkdir(place)
  if (start === 'second') await landOneBatch(world)
  const armed = await kind.arm(t, strike, way, world)
  try {
    const ending = await inTime(landWorld(world, { logger: silentLogger, ...armed.options })).then(
      () => 'went on',
      (error: unknown) => {
        if (!isTailraceError(error)) throw error
        assert.ok(error.code in errors)
        return error.code
      },
    )
    armed.disarm()
    assert.equal(statementsUnderWay(), 0)
    if (ending === 'went on') await assertWorldMirrored(world)
    const clock = new HastyClock()
    // A start removes leftovers when they are old.
    await clock.sleep(7_200_000)
    await inTime(landWorld(world, { logger: silentLogger, clock }))
    await assertWorldLanded(world)
    assert.deepEqual(await leftovers(world), [])
    return ending
  } catch (error) {
    const what = `${start} start, ${kind.name} ${strike.number} (${strike.struck}), ${way}`
    throw new Error(`${what}: ${error instanceof Error ? error.message : error}`, { cause: error })
  } finally {
    armed.disarm()
  }
}

/** Ends the run at its first landed batch. */
async function landOneBatch(world: LandingWorld): Promise<void> {
  const end = new AbortController()
  const write = (line: string): void => {
    if ((JSON.parse(line) as { msg: string }).msg === 'landed') end.abort()
  }
  const logger: Logger = createLogger({ level: 'info', pretty: false, output: { write } })
  await assert.rejects(landWorld(world, { logger, signal: end.signal }), { name: 'AbortError' })
}

async function inTime(run: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const over = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`neither landed nor ended within ${maxRunMs} ms`)), maxRunMs)
  })
  await Promise.race([run, over]).finally(() => clearTimeout(timer))
}

/** What a start has not removed, of what others have left. */
async function leftovers(world: LandingWorld): Promise<readonly string[]> {
  const state = stateDirectoryOf(world)
  const found = await readdir(state, { recursive: true })
  return found.filter((name) => !['staging', 'staging/primary', 'primary.offset.json'].includes(name))
}
