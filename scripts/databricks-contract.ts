// Checks the contract in a Databricks workspace, and prints a report: `pnpm contract`. The variables are in
// docs/databricks.md; without them only the emulated workspace is checked. Everything that the tests make is removed after
// each of them.
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

interface Finding {
  readonly sentence: string
  readonly result: 'holds' | 'DOES NOT HOLD' | 'not checked'
  readonly notes: string[]
}

const runner = fileURLToPath(new URL('../test/run.ts', import.meta.url))
const run = spawn(process.execPath, ['--import', 'tsx', runner, 'databricks/contract'], {
  stdio: ['ignore', 'pipe', 'inherit'],
  env: { ...process.env, NODE_OPTIONS: '--test-reporter=tap' },
})
const findings: Finding[] = []
let isFailing = false
for await (const line of createInterface({ input: run.stdout })) {
  const [, not, sentence, skipped] = /^ *(not )?ok \d+ - (.+?)( # SKIP.*)?$/.exec(line) ?? []
  if (sentence !== undefined) {
    const isFile = sentence.endsWith('.test.ts')
    isFailing = not !== undefined && !isFile
    if (!isFile) {
      // The notes of a finding follow it.
      report(findings.at(-1))
      findings.push({ sentence, result: resultOf(not, skipped), notes: [] })
    }
    if (skipped !== undefined) findings.at(-1)?.notes.push(skipped.replace(' # SKIP ', ''))
    continue
  }
  const note = /^ *# (.+)$/.exec(line)?.[1] ?? (isFailing ? /^ *error: (.+)$/.exec(line)?.[1] : undefined)
  if (
    note !== undefined &&
    !/^(?:Subtest|tests|suites|pass|fail|cancelled|skipped|todo|duration_ms)\b/.test(note)
  )
    findings.at(-1)?.notes.push(note)
}
const code = await new Promise<number>((resolve) => run.once('close', (exit) => resolve(exit ?? 1)))
report(findings.at(-1))
const counted = (result: Finding['result']): number => findings.filter((one) => one.result === result).length
console.log(
  `\n${counted('holds')} hold, ${counted('DOES NOT HOLD')} do not, ${counted('not checked')} were not checked`,
)
process.exitCode = code

function resultOf(not: string | undefined, skipped: string | undefined): Finding['result'] {
  if (skipped !== undefined) return 'not checked'
  return not === undefined ? 'holds' : 'DOES NOT HOLD'
}

function report(finding: Finding | undefined): void {
  if (finding === undefined) return
  const { sentence, result, notes } = finding
  console.log(`${result.padEnd(13)}  ${sentence}`)
  for (const text of notes) console.log(`${' '.repeat(15)}${text}`)
}
