import assert from 'node:assert/strict'
import { type Clock, systemClock } from '../../src/clock.ts'
import { verify } from '../../src/commands/verify.ts'
import type { ResolvedConfig } from '../../src/config/resolved.ts'
import { type Logger, silentLogger } from '../../src/reporting/logger.ts'

/** Asserts that `tailrace verify` finds so many blobs and each of them complete. */
export async function assertVerified(
  config: ResolvedConfig,
  blobCount: number,
  { clock = systemClock, logger = silentLogger }: { readonly clock?: Clock; readonly logger?: Logger } = {},
): Promise<void> {
  let printed = ''
  const print = async (text: string): Promise<boolean> => {
    printed += text
    return true
  }
  const errorOutput = { write: () => {}, status: () => {} }
  const context = {
    config,
    clock,
    logger,
    errorOutput,
    print,
    printRows: print,
    printRaw: print,
    terminal: { hasInput: false, hasOutput: false, hasColors: false, isAttached: false, isScript: false },
  }
  const code = await verify(context, undefined, true)
  assert.equal(code, 0, printed)
  const { complete, blobs } = JSON.parse(printed) as { complete: boolean; blobs: readonly unknown[] }
  assert.deepEqual({ complete, blobs: blobs.length }, { complete: true, blobs: blobCount })
}
