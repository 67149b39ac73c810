import { createReadStream, createWriteStream } from 'node:fs'
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { createGunzip } from 'node:zlib'
import { projectDirectory } from '../measured-process.ts'

/** A file of real lines. */
export interface LinesFile {
  readonly path: string
  readonly bytes: number
  readonly lines: number
  readonly longestLineBytes: number
}

const mebibyte = 1024 * 1024
const newline = 0x0a
const sampleDirectory = join(projectDirectory, 'sample', 'logs')

/**
 * A file of at most `mib` MiB of whole lines: the sample of a primary's and a replica's log, one after the other,
 * again and again. Made once per size and sample.
 */
export async function makeLines(mib: number, directory: string): Promise<LinesFile> {
  const sample = await readSample()
  const path = join(directory, `lines-${mib}-mib-of-${sample.length}.ndjson`)
  const maxBytes = mib * mebibyte
  const copies = Math.floor(maxBytes / sample.length)
  const rest = sample.subarray(0, sample.lastIndexOf(newline, maxBytes - copies * sample.length - 1) + 1)
  const bytes = copies * sample.length + rest.length
  if ((await stat(path).catch(() => undefined))?.size !== bytes) {
    await mkdir(directory, { recursive: true })
    const parts = (function* (): Generator<Buffer> {
      for (let copy = 0; copy < copies; copy += 1) yield sample
      yield rest
    })()
    await rm(path, { force: true })
    await pipeline(parts, createWriteStream(`${path}.part`))
    await rename(`${path}.part`, path)
  }
  const whole = countLines(sample)
  const end = countLines(rest)
  return {
    path,
    bytes,
    lines: copies * whole.lines + end.lines,
    longestLineBytes: Math.max(copies > 0 ? whole.longest : 0, end.longest),
  }
}

/** A file of someone else's lines, as it is. */
export async function takeLines(path: string): Promise<LinesFile> {
  let lines = 0
  let longest = 0
  let open = 0
  let bytes = 0
  for await (const chunk of createReadStream(path, { highWaterMark: mebibyte }) as AsyncIterable<Buffer>) {
    const counted = countLines(chunk, open)
    lines += counted.lines
    longest = Math.max(longest, counted.longest)
    open = counted.open
    bytes += chunk.length
  }
  if (open > 0) throw new Error(`${path} does not end with a newline, so its last line is no line yet.`)
  return { path, bytes, lines, longestLineBytes: longest }
}

function countLines(bytes: Buffer, open = 0): { lines: number; longest: number; open: number } {
  let lines = 0
  let longest = 0
  let start = -open
  for (let end = bytes.indexOf(newline); end >= 0; end = bytes.indexOf(newline, end + 1)) {
    lines += 1
    longest = Math.max(longest, end - start)
    start = end + 1
  }
  return { lines, longest, open: bytes.length - start }
}

async function readSample(): Promise<Buffer> {
  const names = (await readdir(sampleDirectory)).filter((name) => name.endsWith('.ndjson.gz')).sort()
  const parts = names.map((name) =>
    buffer(createReadStream(join(sampleDirectory, name)).pipe(createGunzip())),
  )
  return Buffer.concat(await Promise.all(parts))
}
