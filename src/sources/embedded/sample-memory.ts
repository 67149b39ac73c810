import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { makeDirectory, withStateErrors } from '../../offsets/state-files.ts'
import { instantOf } from '../../records.ts'
import { z } from '../../zod.ts'
import type { BlobReader } from '../blob-reader.ts'

const schema = z.object({ generation: z.string(), lines: z.record(z.string(), z.int().nonnegative()) })

/**
 * The lengths of the embedded storage's blobs, in a small file beside the offsets.
 *
 * The emulator loses everything when its process ends. With this file, the next process creates the same blobs, of the
 * same generation and at least as long, so that a restart resumes as it does with real storage.
 */
export class SampleMemory {
  readonly generation: string
  #path: string
  #lines: Record<string, number>

  private constructor(path: string, generation: string, lines: Record<string, number>) {
    this.#path = path
    this.generation = generation
    this.#lines = lines
  }

  /** Reads the file. If it is missing or unreadable, a new generation begins. */
  static open(stateDirectory: string, nowMs: number): SampleMemory {
    const path = join(stateDirectory, 'embedded-storage.json')
    const known = schema.safeParse(readJson(path))
    return known.success
      ? new SampleMemory(path, known.data.generation, known.data.lines)
      : new SampleMemory(path, instantOf(new Date(nowMs)), {})
  }

  /** How many lines a server's blob held, or is about to hold. */
  linesOf(server: string): number {
    return this.#lines[server] ?? 0
  }

  /**
   * Remembers how many lines a server's blob is about to hold.
   *
   * @throws DIRECTORY_UNUSABLE, DISK_FULL
   */
  async note(server: string, lines: number): Promise<void> {
    this.#lines = { ...this.#lines, [server]: lines }
    await withStateErrors(this.#path, async () => {
      await makeDirectory(dirname(this.#path))
      const temporary = `${this.#path}.${process.pid}.tmp`
      // Synchronously, because the writers of both servers share the file.
      writeFileSync(temporary, `${JSON.stringify({ generation: this.generation, lines: this.#lines })}\n`)
      renameSync(temporary, this.#path)
    })
  }
}

/** A reader that gives its blobs a remembered generation. */
export function withGeneration(reader: BlobReader, generation: string): BlobReader {
  return {
    container: reader.container,
    read: async (blobName, request) => {
      const read = await reader.read(blobName, request)
      return read.kind === 'bytes' ? { ...read, createdAt: generation } : read
    },
    listPage: async (request) => {
      const page = await reader.listPage(request)
      return { ...page, blobs: page.blobs.map((blob) => ({ ...blob, createdAt: generation })) }
    },
  }
}

function readJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'))
  } catch {
    return undefined
  }
}
