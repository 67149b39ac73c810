// Mutation testing: `pnpm test:mutants` changes the code that carries promises, one expression at a time, and counts the
// changes that its tests notice; `pnpm test:mutants offsets retry` only the sources whose path contains one of the words.
// Sources with the same tests are one run of StrykerJS. Its reports are in `.mutants/`.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'

interface Proof {
  /** Paths below `src/`. */
  readonly sources: readonly string[]
  /** Below `test/` and without `.test.ts`: the cheapest test files that state the promises of the sources. */
  readonly tests: readonly string[]
}

const proofs: readonly Proof[] = [
  { sources: ['retry.ts'], tests: ['retry'] },
  {
    sources: [
      'offsets/compare-offsets.ts',
      'offsets/landed-offsets.ts',
      'offsets/offset-file.ts',
      'offsets/offset-file-writer.ts',
    ],
    tests: [
      'offsets/compare-offsets',
      'offsets/landed-offsets',
      'offsets/offset-file',
      'offsets/offset-file-writer',
    ],
  },
  { sources: ['offsets/state-files.ts'], tests: ['offsets/state-files'] },
  { sources: ['offsets/status-file.ts'], tests: ['offsets/status-file'] },
  { sources: ['offsets/serial-queue.ts'], tests: ['offsets/serial-queue'] },
  { sources: ['offsets/load-intent.ts'], tests: ['offsets/load-intent'] },
  { sources: ['streams/lane-merge.ts'], tests: ['streams/lane-merge'] },
  {
    sources: ['streams/line-splitter.ts'],
    tests: ['streams/line-splitter', 'streams/staging/usual-rows'],
  },
  {
    sources: ['streams/batcher.ts'],
    tests: ['streams/batcher', 'streams/batcher-spools', 'streams/staging/usual-rows'],
  },
  { sources: ['streams/units/unit-collector.ts'], tests: ['streams/units/unit-collector'] },
  {
    sources: ['sources/append-blob-tailer.ts'],
    tests: ['sources/append-blob-tailer', 'sources/tailed-blob-facts'],
  },
  {
    sources: ['sources/recognition/grown-document.ts', 'sources/recognition/identify-blob.ts'],
    tests: ['sources/recognition/identify-blob', 'sources/recognition/changing-blob'],
  },
  { sources: ['sources/recognition/framing.ts'], tests: ['sources/recognition/framing'] },
  { sources: ['sources/readers/observed-reader.ts'], tests: ['sources/readers/observed-reader'] },
  { sources: ['sources/tailing/byte-budget.ts'], tests: ['sources/tailing/byte-budget'] },
  {
    sources: ['sources/tailing/ranges-ahead.ts'],
    tests: ['sources/tailing/ranges-ahead', 'sources/append-blob-tailer'],
  },
  {
    sources: ['sources/tailing/read-position.ts'],
    tests: ['sources/tailing/read-position', 'sources/append-blob-tailer'],
  },
  { sources: ['sources/tailing/tailed-record.ts'], tests: ['sources/tailing/tailed-record'] },
  { sources: ['sinks/lakehouse-sink.ts'], tests: ['sinks/lakehouse-sink'] },
  { sources: ['sinks/delta/log/commit.ts'], tests: ['sinks/delta/log/commit'] },
  {
    sources: ['sinks/delta/log/cleanup.ts'],
    tests: ['sinks/delta/log/cleanup', 'sinks/delta/log/cleanup-of-long-logs'],
  },
  { sources: ['sinks/delta/log/offsets.ts'], tests: ['sinks/delta/log/offsets'] },
  {
    sources: ['sinks/delta/storage/local.ts'],
    tests: [
      'sinks/delta/storage/local',
      'sinks/delta/storage/local-faults',
      'sinks/delta/storage/delta-storage',
    ],
  },
  {
    sources: ['sinks/delta/protocol/statistics.ts'],
    tests: ['sinks/delta/protocol/statistics', 'sinks/delta/protocol/string-bounds'],
  },
  {
    sources: ['sinks/delta/protocol/schema.ts'],
    tests: [
      'sinks/delta/protocol/schema',
      'sinks/delta/protocol/schema-plan',
      'sinks/delta/protocol/indexed-columns',
      'sinks/delta/protocol/column-cast',
    ],
  },
  {
    sources: [
      'sinks/databricks/loading/copy-into.ts',
      'sinks/databricks/loading/merge-loader.ts',
      'sinks/databricks/loading/range-rows.ts',
      'sinks/databricks/loading/volume-loader.ts',
    ],
    tests: [
      'sinks/databricks/loading/copy-into',
      'sinks/databricks/loading/range-rows',
      'sinks/databricks/committer',
      'databricks/crashes',
    ],
  },
  { sources: ['reporting/redact.ts'], tests: ['reporting/redact', 'reporting/redact-long-texts'] },
]

/** Of StrykerJS's report, by https://github.com/stryker-mutator/mutation-testing-elements (schema 1). */
interface MutationReport {
  readonly files: Readonly<
    Record<string, { readonly mutants: readonly { readonly status: string }[] } | undefined>
  >
}

const missing = proofs
  .flatMap(({ sources, tests }) => [
    ...sources.map((source) => `src/${source}`),
    ...tests.map((name) => `test/${name}.test.ts`),
  ])
  .filter((path) => !existsSync(path))
if (missing.length > 0)
  throw new Error(`scripts/mutants.ts names files that do not exist: ${missing.join(', ')}`)

const directory = '.mutants'
/** Comes with tsx. */
const esbuild = createRequire(createRequire(import.meta.url).resolve('tsx/package.json')).resolve(
  'esbuild/bin/esbuild',
)

const words = process.argv.slice(2)
const isChosen = (source: string): boolean =>
  words.length === 0 || words.some((word) => source.includes(word))
const chosen = proofs
  .map(({ sources, tests }) => ({ sources: sources.filter(isChosen), tests }))
  .filter(({ sources }) => sources.length > 0)
if (chosen.length === 0) {
  console.error(`No mutated source's path contains ${words.join(' or ')}.`)
  process.exit(2)
}
mkdirSync(directory, { recursive: true })
const rows: string[] = []
for (const [index, proof] of chosen.entries()) {
  const report = join(directory, `report-${index}.json`)
  const config = join(directory, `config-${index}.json`)
  writeFileSync(config, JSON.stringify(configOf(proof, report)))
  // Stryker and its hundred packages are fetched for the run only.
  const packages = ['core', 'tap-runner'].map((name) => `--package=@stryker-mutator/${name}@9.6.1`)
  const { status } = spawnSync('pnpm', [...packages, 'dlx', 'stryker', 'run', config], { stdio: 'inherit' })
  if (status !== 0) process.exit(status ?? 1)
  rows.push(...rowsOf(JSON.parse(readFileSync(report, 'utf8')) as MutationReport))
}
console.log(['| file | changes | noticed | of them by a timeout | not noticed |', ...rows].join('\n'))

function configOf({ sources, tests }: Proof, report: string): object {
  return {
    testRunner: 'tap',
    plugins: ['@stryker-mutator/tap-runner'],
    tap: {
      testFiles: tests.map((test) => `test/${test}.test.mjs`),
      nodeArgs: ['-r', '{{hookFile}}', '{{testFile}}'],
    },
    // A test file runs once for each mutant: without the TypeScript loader that takes a half to a third of the time.
    buildCommand: [
      esbuild,
      ...tests.map((test) => `test/${test}.test.ts`),
      '--bundle --packages=external --platform=node --format=esm --target=node20 --log-level=error',
      '--outbase=. --outdir=. --out-extension:.js=.mjs',
    ].join(' '),
    mutate: sources.map((source) => `src/${source}`),
    mutator: { excludedMutations: ['StringLiteral', 'ObjectLiteral'] },
    ignorePatterns: [
      '**',
      '!src/**',
      '!test/**',
      '!doubles/**',
      '!sample/**',
      '!package.json',
      '!pipeline.config.ts',
      'test/interop/.venv',
    ],
    tsconfigFile: 'none.json',
    coverageAnalysis: 'perTest',
    concurrency: 2,
    timeoutMS: 10_000,
    tempDirName: directory,
    reporters: ['clear-text', 'progress-append-only', 'json'],
    jsonReporter: { fileName: report },
    clearTextReporter: { allowColor: false, logTests: false, reportTests: false },
  }
}

function rowsOf({ files }: MutationReport): string[] {
  return Object.entries(files).flatMap(([file, entry]) => {
    const mutants = entry?.mutants ?? []
    if (mutants.length === 0) return []
    const count = (...statuses: readonly string[]): number =>
      mutants.filter(({ status }) => statuses.includes(status)).length
    const cells = [
      file,
      count('Killed', 'Timeout', 'Survived', 'NoCoverage'),
      count('Killed', 'Timeout'),
      count('Timeout'),
      count('Survived', 'NoCoverage'),
    ]
    return [`| ${cells.join(' | ')} |`]
  })
}
