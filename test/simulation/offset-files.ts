import type { LandedOffset } from '../../src/offsets/landed-offsets.ts'
import { instantOf } from '../../src/records.ts'
import {
  type Fingerprint,
  matchesFingerprint,
  parseFingerprint,
} from '../../src/sources/recognition/fingerprint.ts'
import type { MachineFiles } from './machine.ts'
import { contentOf } from './memory-files.ts'
import { pipelineName } from './process.ts'
import { container, type Recognizable, type WrittenBlob } from './written-blobs.ts'

interface StoredGeneration {
  readonly generation: string
  readonly offset: number
  readonly createdAt?: string
  readonly head?: string
  readonly tail?: string
}

/** A fingerprint of fewer bytes may fit two contents. */
const tellingBytes = 64

/** The offsets in a machine's offset file. */
export function landedIn(machine: MachineFiles): readonly LandedOffset[] {
  return Object.entries(contentIn(machine)?.blobs ?? {}).flatMap(([blob, generations]) =>
    generations.map(({ generation, offset }) => ({ blob, generation, offset })),
  )
}

/** The names of the files of the load that a machine's offset file records. */
export function intendedFilesIn(machine: MachineFiles): readonly string[] {
  return contentIn(machine)?.intent?.files.map(({ name }) => name) ?? []
}

/**
 * How a blob may be replaced under the same creation instant so that every machine's offset file tells the two contents
 * apart: what a file does not remember yet, after a crash for one, counts as agreeing (docs/guarantees.md).
 */
export function recognizableBy(machines: readonly MachineFiles[], blob: WrittenBlob): Recognizable {
  const marks = machines.map((machine) => {
    const newest = contentIn(machine)?.blobs[`${container}/${blob.name}`]?.at(-1)
    const instant = newest?.createdAt ?? newest?.generation.split('.', 1)[0]
    if (newest === undefined || instant !== instantOf(new Date(blob.createdAtMs))) return undefined
    const [head, tail] = [newest.head, newest.tail].map((text) =>
      telling(parseFingerprint(text), blob.content),
    )
    return { isKnown: head !== undefined || tail !== undefined, truncateTo: tail?.start ?? 0 }
  })
  return {
    overwrite: marks.every((mark) => mark?.isKnown === true),
    truncateTo: Math.min(...marks.map((mark) => mark?.truncateTo ?? 0)),
  }
}

function telling(mark: Fingerprint | undefined, content: Buffer): Fingerprint | undefined {
  if (mark === undefined || mark.bytes < tellingBytes) return undefined
  return matchesFingerprint(mark, content.subarray(mark.start, mark.start + mark.bytes)) ? mark : undefined
}

interface StoredContent {
  readonly blobs: Readonly<Record<string, readonly StoredGeneration[]>>
  readonly intent?: { readonly files: readonly { readonly name: string }[] }
}

function contentIn(machine: MachineFiles): StoredContent | undefined {
  const text = contentOf(machine, `/state/${pipelineName}.offset.json`)
  return text === undefined ? undefined : (JSON.parse(text) as StoredContent)
}
