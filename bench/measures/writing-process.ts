/**
 * `writing-process.ts TABLE SCRATCH BLOB COUNT`: waits for a byte on stdin, then lands batches of one row of a blob, one
 * after the other without a pause, and prints how long each landing took as a JSON array of milliseconds.
 */
import { once } from 'node:events'
import { LocalDeltaStorage } from '../../src/sinks/delta/storage/local.ts'
import { OneRowCommits } from './one-row-commits.ts'

const [table, scratch, blob, count] = process.argv.slice(2) as [string, string, string, string]
const commits = await OneRowCommits.open(scratch)
const committer = commits.committerOf(new LocalDeltaStorage(table))
await committer.open()
process.stdout.write('ready\n')
await once(process.stdin, 'data')
const tookMs: number[] = []
for (let row = 1; row <= Number(count); row += 1) tookMs.push(await commits.land(committer, { row, blob }))
await committer.close()
await commits.close()
process.stdout.write(`${JSON.stringify(tookMs)}\n`)
process.exit()
