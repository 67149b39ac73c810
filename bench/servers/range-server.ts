/**
 * A server of one file as one append blob: as much of the Blob service's REST protocol as reading ranges takes,
 * and as little CPU. It answers any container and blob name and checks no signature.
 *
 *   node --import tsx bench/servers/range-server.ts FILE    prints the port of 127.0.0.1 it listens on
 */
import { createReadStream, statSync } from 'node:fs'
import { answerRange } from './answer-range.ts'
import { listen } from './listen.ts'

const [path] = process.argv.slice(2)
if (path === undefined) throw new Error('Which file?')
const { size, mtime } = statSync(path)
const highWaterMark = 1024 * 1024

listen((request, response) =>
  answerRange(request, response, {
    bytes: size,
    modifiedAt: mtime,
    read: (start, last) => createReadStream(path, { start, end: last, highWaterMark }),
  }),
)
