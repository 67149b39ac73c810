import test from 'node:test'
import { landWithinMemory, linesAsBytes, skipWithoutPeak as skip } from '../support/land-within-memory.ts'

const dates = 450
const batchBytes = 64 * 1024 * 1024

/** Lines of one batch that is of its full size, each of another date than the one before. */
function linesOfManyDates(): string[] {
  const lines: string[] = []
  for (let bytes = 0, index = 0; bytes < batchBytes + 16 * 1024 * 1024; index += 1) {
    const day = new Date(Date.UTC(2024, 0, 1 + ((index * 7) % dates))).toISOString().slice(0, 10)
    const line = JSON.stringify({
      timestamp: `${day} 08:54:35.875 UTC`,
      user: 'orders',
      dbname: 'orders',
      pid: index,
      session_id: `${(0x6923_0000 + index).toString(16)}.1f4`,
      line_num: 1,
      session_start: `${day} 08:00:00 UTC`,
      txid: 0,
      error_severity: 'LOG',
      message: `duration: ${index % 997}.123 ms  statement: SELECT ${index}, ${'total, '.repeat(50)}1`,
      backend_type: 'client backend',
      query_id: index,
    })
    bytes += line.length + 1
    lines.push(line)
  }
  return lines
}

test(`a backlog whose batches have rows of ${dates} dates lands within 450 MB of memory`, {
  skip,
}, async (t) => {
  const lines = linesOfManyDates()
  await landWithinMemory(
    t,
    { 'old.json': linesAsBytes([lines.join('\n')]) },
    { rows: lines.length, rejected: 0 },
  )
})
