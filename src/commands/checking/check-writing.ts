import { randomBytes } from 'node:crypto'
import { chooseTables } from '../../config/choose-pipelines.ts'
import { sinkTarget } from '../../config/resolved.ts'
import { TailraceError } from '../../errors.ts'
import { landTrial } from '../../run/trial-landing.ts'
import type { SetupOf, SinkTarget } from '../../sinks/sink.ts'
import { type MissingGrants, scratchName } from '../../sinks/sink-setup.ts'
import type { CommandContext } from '../command.ts'
import { usualRecord } from '../usual-record.ts'

export interface CheckWritingOptions {
  readonly pipeline?: string | undefined
  /** Limit of the whole command, in milliseconds; the scratch table is removed after that. Default 600,000. */
  readonly maxDurationMs?: number | undefined
}

/** A stopped warehouse may take minutes to start. */
const defaultMaxDurationMs = 600_000

/**
 * Probes the rights of each pipeline, lands a record in a scratch table by the pipeline's own encoder and sink, and
 * removes the table and its files: also after a failure, the limit, SIGINT and SIGTERM.
 *
 * @returns the exit code: 1 when a right is missing or no row landed, 130 or 143 after a signal
 * @throws USAGE when no table is in a workspace, and every error that a run may end with but missing rights
 */
export async function checkWriting(
  context: CommandContext,
  { pipeline, maxDurationMs = defaultMaxDurationMs }: CheckWritingOptions,
): Promise<number> {
  const { config, clock } = context
  const limit = new AbortController()
  const cancel = clock.after(maxDurationMs, () =>
    limit.abort(
      new TailraceError(
        'TABLE_UNAVAILABLE',
        `Nothing landed within ${maxDurationMs} ms; --max-duration sets another limit.`,
        { context: { limitMs: maxDurationMs } },
      ),
    ),
  )
  let stopCode: number | undefined
  const stops = { SIGINT: 130, SIGTERM: 143 } as const
  const handlers = Object.entries(stops).map(([signal, code]) => {
    // Once: a second signal ends the process without the removal.
    const handler = (): void => {
      stopCode = code
      limit.abort(new TailraceError('USAGE', `stopped by ${signal}`))
    }
    process.once(signal, handler)
    return [signal, handler] as const
  })
  try {
    let code = 0
    for (const { target, ability } of chooseTables(config, pipeline, (sink) => sink.setup)) {
      if (!Object.hasOwn(config.pipelines, target.name)) continue
      code = Math.max(code, await checkOne(context, target, ability, limit.signal))
    }
    return code
  } catch (error) {
    if (stopCode !== undefined) return stopCode
    limit.signal.throwIfAborted()
    throw error
  } finally {
    cancel()
    for (const [signal, handler] of handlers) process.off(signal, handler)
  }
}

async function checkOne(
  context: CommandContext,
  target: SinkTarget,
  setup: SetupOf,
  signal: AbortSignal,
): Promise<number> {
  const { config, clock, logger, print } = context
  const { stateDirectory, disk } = config
  const { name } = target
  const { principal, found, ...probed } = await setup.probeRights({
    target,
    stateDirectory,
    signal,
    clock,
    logger,
  })
  for (const sentence of found) await print(`${name}: ${sentence}\n`)
  if (probed.missing.length > 0 || probed.unnamed.length > 0) {
    await printGrants(context, name, probed)
    return 1
  }
  const pipeline = config.pipelines[name]!
  const table = scratchName(target.table.name, randomBytes(6).toString('hex'))
  const scratch = { ...sinkTarget(name, pipeline), table: { ...target.table, name: table } }
  const fullName = Object.values(table).join('.')
  let rows: number | undefined
  let grants: MissingGrants | undefined
  let failure: { readonly error: unknown } | undefined
  try {
    const bytes = Buffer.from(`${JSON.stringify(usualRecord)}\n`)
    rows = await landTrial({ name, pipeline, disk, table, bytes, signal, clock, logger })
    await print(
      rows === undefined
        ? `${name}: a file was staged, which Databricks itself would load\n`
        : `${name}: ${rows} of 1 rows landed in the scratch table ${fullName}\n`,
    )
  } catch (error) {
    grants = await setup.missingGrants(scratch, error, principal)
    if (grants === undefined) failure = { error }
  }
  try {
    await setup.removeScratch({ target: scratch, stateDirectory, clock, logger })
    await print(`${name}: the scratch table and its files are removed\n`)
  } catch (error) {
    // Logged, because the error of the landing or the signal ends the command.
    logger.error(
      { pipeline: name, table: fullName, err: error },
      'the scratch table, its offsets or its files were not removed: remove them by hand',
    )
    failure ??= { error }
  }
  if (failure !== undefined) throw failure.error
  if (grants !== undefined) {
    await printGrants(context, name, grants)
    return 1
  }
  return rows === 0 ? 1 : 0
}

/** Neither the principal nor an object is a secret, and a masked grant cannot be run. */
async function printGrants(
  { print, printRaw }: CommandContext,
  name: string,
  { missing, unnamed, unknown }: MissingGrants,
): Promise<void> {
  if (missing.length > 0) {
    await print(`${name}: rights are missing. Whoever may grant them runs:\n\n`)
    await printRaw(`${missing.join('\n')}\n\n`)
  }
  for (const refusal of unnamed)
    await print(`${name}: the workspace refused without the name of a missing right: ${refusal}\n`)
  if (unknown.length === 0) return
  const why =
    unnamed.length > 0
      ? 'these may be missing, or could not be probed'
      : 'these could not be probed without the ones above'
  await print(`${name}: ${why}; some may be there already:\n\n`)
  await printRaw(`${unknown.join('\n')}\n\n`)
}
