import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { measure, nodeCommand } from '../measured-process.ts'
import { whileServing } from '../servers/while-serving.ts'
import { type Contender, type ContenderDefinition, definitions } from './contenders.ts'
import type { LinesFile } from './lines.ts'
import { type Output, outputOf } from './output.ts'
import { orderInRound } from './rounds.ts'

/** One run of one contender: a whole process, its start included. */
export interface Run {
  readonly wallSeconds: number
  /** User and system time, children included. */
  readonly cpuSeconds: number
  /** `VmHWM` of the process; with a JVM, the sum of both. */
  readonly peakRssBytes: number
  /** Bytes of Parquet. */
  readonly outputBytes: number
  /** CPU of the server that sent the blob; not counted as the contender's. */
  readonly serverCpuSeconds?: number | undefined
  /** Turn within the round, from 0 on. */
  readonly turn: number
}

export interface ThroughputResult {
  readonly inputBytes: number
  readonly lines: number
  /** Of each contender, one run per round, in the order of the rounds. */
  readonly runs: Readonly<Partial<Record<Contender, readonly Run[]>>>
  /** Versions of what each contender measures. */
  readonly versions: Readonly<Partial<Record<Contender, string>>>
  /** Why a contender did not run. */
  readonly skipped: Readonly<Partial<Record<Contender, string>>>
}

export interface ThroughputOptions {
  /** Lines of one more turn each, before the first round, that is not counted. */
  readonly warmUp?: LinesFile | undefined
  readonly rounds: number
  readonly who: readonly Contender[]
  readonly scratch: string
  readonly say: (text: string) => void
}

/**
 * Runs the contenders in turns, round by round, each in a process of its own and into a fresh directory. The order
 * changes from round to round.
 *
 * @throws Error when the files of a contender have another number of rows than there are lines; or, where
 *   `TAILRACE_REQUIRE_ALL` is set, when one cannot run
 */
export async function runThroughput(
  lines: LinesFile,
  { warmUp, rounds, who, scratch, say }: ThroughputOptions,
): Promise<ThroughputResult> {
  const runs: Partial<Record<Contender, Run[]>> = {}
  const versions: Partial<Record<Contender, string>> = {}
  const skipped: Partial<Record<Contender, string>> = {}
  const programs = new Map<Contender, string>()
  for (const contender of who) {
    try {
      const prepared = await definitions[contender].prepare()
      programs.set(contender, prepared.program)
      versions[contender] = prepared.versions
    } catch (error) {
      if (process.env.TAILRACE_REQUIRE_ALL) throw error
      skipped[contender] = (error as Error).message
      say(`${contender}: skipped, ${skipped[contender]}`)
    }
  }
  const present = [...programs.keys()]
  for (let round = warmUp === undefined ? 0 : -1; round < rounds; round += 1) {
    const order = round < 0 ? present : orderInRound(present, round)
    for (const [turn, contender] of order.entries()) {
      const input = round < 0 ? warmUp! : lines
      const run = await runOnce(contender, { lines: input, turn, scratch, program: programs.get(contender)! })
      say(
        `${round < 0 ? 'warm-up' : `round ${round + 1}`} ${contender}: ${run.wallSeconds.toFixed(2)} s, ` +
          `${run.cpuSeconds.toFixed(2)} CPU s, ${(run.peakRssBytes / 1e6).toFixed(0)} MB`,
      )
      if (round >= 0) runs[contender] = [...(runs[contender] ?? []), run]
    }
  }
  return { inputBytes: lines.bytes, lines: lines.lines, runs, versions, skipped }
}

interface Turn {
  readonly lines: LinesFile
  readonly turn: number
  readonly scratch: string
  readonly program: string
}

async function runOnce(contender: Contender, { lines, turn, scratch, program }: Turn): Promise<Run> {
  const definition: ContenderDefinition = definitions[contender]
  const directory = join(scratch, contender)
  await rm(directory, { recursive: true, force: true })
  await mkdir(directory, { recursive: true })
  const measureWith = (connectionString: string) =>
    measure(definition.command({ lines, directory, connectionString, program }), scratch)
  try {
    const { result: measured, server } =
      definition.reads === 'file'
        ? { result: await measureWith(''), server: undefined }
        : await whileServing(nodeCommand('bench/servers/range-server.ts', [lines.path]), scratch, measureWith)
    const output = await outputOf(join(directory, definition.output ?? ''))
    checkRows(contender, lines, output)
    return {
      wallSeconds: measured.wallSeconds,
      cpuSeconds: measured.userSeconds + measured.systemSeconds,
      ...definition.part?.(measured),
      peakRssBytes: measured.peakRssBytes,
      outputBytes: output.bytes,
      serverCpuSeconds: server && server.userSeconds + server.systemSeconds,
      turn,
    }
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

function checkRows(contender: Contender, lines: LinesFile, { rows }: Output): void {
  if (rows !== lines.lines) throw new Error(`${contender} wrote ${rows} rows of ${lines.lines} lines.`)
}
