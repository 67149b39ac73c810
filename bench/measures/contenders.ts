import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type Command, type Measurement, plainNodeCommand, projectDirectory } from '../measured-process.ts'
import { machineFacts } from '../reports/machine.ts'
import { shippedConfig, tailraceCommand } from '../tailrace-command.ts'
import type { LinesFile } from './lines.ts'

export const contenders = [
  'tailrace',
  'tailrace-unusual',
  'duckdb-by-hand',
  'duckdb-ndjson',
  'polars',
  'spark',
  'spark-warm',
  'reference',
] as const
/** Who is measured. */
export type Contender = (typeof contenders)[number]

/** What a contender needs for a run. */
export interface ContenderRun {
  readonly lines: LinesFile
  /** Empty; the output goes there. */
  readonly directory: string
  /** The storage that serves the lines, for contenders that read a blob. */
  readonly connectionString: string
  /** What `prepare` returned. */
  readonly program: string
}

/** One way from lines to Parquet or Delta. */
export interface ContenderDefinition {
  readonly title: string
  /** Where it reads: a blob served on loopback, or the local file. */
  readonly reads: 'blob' | 'file'
  /**
   * Makes what it runs with, once.
   *
   * @returns the program to run, and the versions of what is measured
   * @throws Error that says how to get what is missing
   */
  readonly prepare: () => Promise<{ readonly program: string; readonly versions: string }>
  readonly command: (run: ContenderRun) => Command
  /** The folder of the output within the directory, if there is other output beside it. */
  readonly output?: string
  /** Of a contender that measures a part of its process: the part's time and CPU instead of the whole's. */
  readonly part?: (measured: Measurement) => { readonly wallSeconds: number; readonly cpuSeconds: number }
}

/** The blob's name; the server answers to any. */
const servedBlob = 'lines.ndjson'

const yardsticks = 'bench/yardsticks'

export const definitions: Readonly<Record<Contender, ContenderDefinition>> = {
  tailrace: tailrace('Tailrace, blob to Delta table', 'always'),
  'tailrace-unusual': tailrace("Tailrace with `keepRaw: 'unusual'`", 'unusual'),
  'duckdb-by-hand': duckdb('DuckDB, SQL by hand, file to Parquet', 'by-hand.sql'),
  'duckdb-ndjson': duckdb('DuckDB, `read_ndjson`, file to Parquet', 'read-ndjson.sql'),
  polars: {
    title: 'Polars, `scan_ndjson`, file to Parquet',
    reads: 'file',
    prepare: async () => ({
      program: await preparedPython(yardsticks),
      versions: await requirementsOf(yardsticks, ['polars']),
    }),
    command: ({ program, lines, directory }) => ({
      program,
      args: [`${yardsticks}/polars_ndjson.py`, lines.path, directory],
      env: { POLARS_MAX_THREADS: '2' },
    }),
  },
  spark: {
    title: 'Spark `local[2]`, file to Delta table',
    ...spark([]),
  },
  'spark-warm': {
    title: 'Spark `local[2]`, the second load of a process',
    ...spark(['--warm']),
    part: ({ stdout }) => JSON.parse(stdout) as { wallSeconds: number; cpuSeconds: number },
  },
  reference: {
    title: 'Reference in Python, blob to Delta table',
    reads: 'blob',
    prepare: async () => ({
      program: await preparedPython(yardsticks),
      versions: await requirementsOf(yardsticks, ['deltalake', 'pyarrow', 'azure-storage-blob']),
    }),
    command: ({ program, connectionString, directory }) => ({
      program,
      args: [`${yardsticks}/reference.py`, 'logs', servedBlob, directory],
      env: { CONNECTION_STRING: connectionString },
    }),
  },
}

function tailrace(title: string, keepRaw: 'always' | 'unusual'): ContenderDefinition {
  return {
    title,
    reads: 'blob',
    prepare: prepareTailrace,
    command: ({ connectionString, directory }) =>
      tailraceCommand(['start', '--once', '--config', 'bench/measures/throughput.config.ts'], {
        ...shippedConfig(connectionString, { blobs: servedBlob, directory }),
        TAILRACE_BENCH_KEEP_RAW: keepRaw,
      }),
  }
}

function duckdb(title: string, sqlFile: string): ContenderDefinition {
  return {
    title,
    reads: 'file',
    prepare: async () => ({ program: process.execPath, versions: `duckdb ${machineFacts().duckdb}` }),
    command: ({ lines, directory }) =>
      plainNodeCommand(`${yardsticks}/duckdb.mjs`, [`${yardsticks}/${sqlFile}`, lines.path, directory]),
  }
}

function spark(options: readonly string[]): Omit<ContenderDefinition, 'title'> {
  const folder = 'test/interop/spark'
  return {
    reads: 'file',
    prepare: async () => ({
      program: process.env.TAILRACE_INTEROP_SPARK || (await preparedPython(folder)),
      versions: await sparkVersions(folder),
    }),
    command: ({ program, lines, directory }) => ({
      program,
      args: [`${yardsticks}/spark_json.py`, lines.path, directory, ...options],
    }),
    output: 'table',
  }
}

/** The first start of a clone compiles it, and belongs to no measurement. */
async function prepareTailrace(): Promise<{ program: string; versions: string }> {
  const { program, args } = tailraceCommand(['--help'])
  await promisify(execFile)(program, args, { cwd: projectDirectory })
  return { program, versions: `duckdb ${machineFacts().duckdb}` }
}

/** Runs the `prepare.sh` of a folder, which makes a Python environment where there is none and prints its interpreter. */
async function preparedPython(folder: string): Promise<string> {
  const script = join(projectDirectory, folder, 'prepare.sh')
  try {
    const { stdout } = await promisify(execFile)('sh', [script])
    return stdout.trim()
  } catch (error) {
    const { stderr = '' } = error as { stderr?: string }
    throw new Error(`sh ${folder}/prepare.sh failed: ${stderr.trim().split('\n').at(-1)}`, { cause: error })
  }
}

async function requirementsOf(folder: string, names: readonly string[]): Promise<string> {
  const text = await readFile(join(projectDirectory, folder, 'requirements.txt'), 'utf8')
  const pinned = text.split('\n').map((line) => line.split('=='))
  return pinned
    .filter(([name]) => names.includes(name!))
    .map((pin) => pin.join(' '))
    .join(', ')
}

async function sparkVersions(folder: string): Promise<string> {
  const jars = await readFile(join(projectDirectory, folder, 'jars.xml'), 'utf8')
  const delta = /<artifactId>delta-spark_[\d.]+<\/artifactId>\s*<version>([\d.]+)</.exec(jars)?.[1]
  return `${await requirementsOf(folder, ['pyspark'])}, delta-spark ${delta}`
}
