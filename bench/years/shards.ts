/**
 * `npx tsx bench/years/shards.ts`: what it costs to divide a backlog among shards: real processes that land the same blobs into
 * one table. While there are cores for all of them, their throughput follows from the CPU time: with E times the CPU time of
 * one process, n processes land n / E times as fast.
 */
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { measure, nodeCommand, projectDirectory } from '../measured-process.ts'
import { makeLines } from '../measures/lines.ts'
import { outputOf } from '../measures/output.ts'
import { machineFacts } from '../reports/machine.ts'
import { markdownTable } from '../reports/markdown-table.ts'
import { piecesPrefix } from '../servers/served-blobs.ts'
import { whileServing } from '../servers/while-serving.ts'
import { landCommand } from '../tailrace-command.ts'

const pieces = 96

const { values } = parseArgs({
  options: { mib: { type: 'string', default: '256' }, shards: { type: 'string', default: '1,2,4' } },
})
const work = join(projectDirectory, 'bench', '.work')
const scratch = join(work, 'scratch', 'shards')
const lines = await makeLines(Number(values.mib), work)
const results: { readonly shards: number; readonly cpuSeconds: number; readonly startSeconds: number }[] = []
for (const shards of values.shards.split(',').map(Number)) {
  process.stderr.write(`${shards} shards\n`)
  await rm(scratch, { recursive: true, force: true })
  await mkdir(scratch, { recursive: true })
  const server = nodeCommand('bench/servers/account-server.ts', [lines.path, 'pieces', String(pieces)])
  await whileServing(server, scratch, async (connectionString) => {
    /** @returns CPU seconds of all shards, each of which drains its blobs */
    const drain = async (): Promise<number> => {
      const ended = await Promise.all(
        Array.from({ length: shards }, (_, index) => {
          const command = landCommand(connectionString, { directory: scratch, blobs: piecesPrefix })
          const shard = shards === 1 ? {} : { TAILRACE_SHARD: `${index}/${shards}` }
          return measure({ ...command, env: { ...command.env, ...shard } }, scratch)
        }),
      )
      return ended.reduce((sum, { userSeconds, systemSeconds }) => sum + userSeconds + systemSeconds, 0)
    }
    const cpuSeconds = await drain()
    const { rows } = await outputOf(scratch)
    if (rows !== lines.lines) throw new Error(`Of ${lines.lines} lines ${rows} were landed.`)
    // Everything has landed: what is left is the start of each process, and its listing.
    results.push({ shards, cpuSeconds, startSeconds: await drain() })
  })
}
await rm(scratch, { recursive: true, force: true })
const landing = ({ cpuSeconds, startSeconds }: (typeof results)[number]): number => cpuSeconds - startSeconds
const table = markdownTable(
  ['shards', 'CPU s', 'of these, starts', 'CPU s per GB landed', 'throughput of the sum'],
  results.map((one) => [
    String(one.shards),
    one.cpuSeconds.toFixed(1),
    one.startSeconds.toFixed(1),
    (landing(one) / (lines.bytes / 1e9)).toFixed(1),
    (landing(results[0]!) / landing(one)).toFixed(2),
  ]),
)
process.stdout.write(`${table}\n\n${JSON.stringify(machineFacts())}\n`)
