import { spawn, spawnSync } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Command } from '../measured-process.ts'

/** Samples per second of CPU time. */
const frequency = 199

/** CPU seconds by part of the work, of all threads of a process. */
export type PartTimes = ReadonlyMap<string, number>

/** Parts by the functions that a sample's stack goes through. The first that fits counts. */
const parts: readonly (readonly [part: string, functions: RegExp])[] = [
  ['DuckDB: Parquet, compression', /duckdb_zstd::/],
  [
    'DuckDB: Parquet, the rest',
    /duckdb::(?:ParquetWrit|PhysicalCopyToFile::Sink|ColumnDataCollection::Append)/,
  ],
  ['DuckDB: parsing JSON', /duckdb(?:_yyjson)?::(?:TransformFunction|yyjson_|JSON)/],
  ['DuckDB: splitting lines', /duckdb::(?:CSV|StringValueScanner|BaseScanner|MultiFile)/],
  ['DuckDB: values computed from these', /duckdb::Physical(?:Projection|Filter)/],
  ['DuckDB: everything else', /duckdb/],
  [
    'V8: compiling',
    /v8::internal::(?:compiler|Optimizing|Compiler|parsing|Parser|PreParser|interpreter|baseline)/,
  ],
  ['V8: garbage collection', /v8::internal::(?:[\w:]*Mark|Scaveng|Sweep|Heap::|Evacuat)/],
]
const otherPart = 'JavaScript and Node'

/** Whether Linux's `perf` is here and may sample processes. */
export function canSample(): boolean {
  return spawnSync('perf', ['record', '-o', '/dev/null', 'true'], { stdio: 'ignore' }).status === 0
}

/** The command with a sampler around it, which writes the stacks of all threads to a file. */
export function sampledCommand({ program, args, env }: Command, file: string): Command {
  return {
    program: 'perf',
    args: [
      ...['record', '--quiet', '-o', file, '-F', String(frequency), '--call-graph', 'dwarf,8192'],
      '--',
      program,
      ...args,
    ],
    ...(env === undefined ? {} : { env }),
  }
}

/**
 * Reads what a sampled command wrote.
 *
 * @throws Error with perf's message when it can't read the file
 */
export async function partTimes(file: string): Promise<PartTimes> {
  const script = spawn('perf', ['script', '-i', file, '--no-inline', '-F', 'ip,sym,dso'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = new Promise<number | null>((resolve, reject) => {
    script.on('error', reject)
    script.on('close', resolve)
  })
  const seconds = new Map<string, number>()
  let stack: string[] = []
  const add = (): void => {
    if (stack.length === 0) return
    const functions = stack.join('\n')
    const part = parts.find(([, pattern]) => pattern.test(functions))?.[0] ?? otherPart
    seconds.set(part, (seconds.get(part) ?? 0) + 1 / frequency)
    stack = []
  }
  // An empty line is between two samples.
  for await (const line of createInterface({ input: script.stdout })) {
    if (line.trim() === '') add()
    else stack.push(line)
  }
  add()
  const code = await ended
  if (code !== 0) throw new Error(`perf script ended with ${code}`)
  return new Map([...parts.map(([part]) => part), otherPart].map((part) => [part, seconds.get(part) ?? 0]))
}
