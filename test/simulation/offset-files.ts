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

/** The offsets in a machine's offset file, as `blob@generation offset`, sorted. */
export function offsetsIn(machine: MachineFiles): readonly string[] {
  return Object.entries(blobsIn(machine))
    .flatMap(([blob, generations]) =>
      generations.map(({ generation, offset }) => `${blob}@${generation} ${offset}`),
    )
    .sort()
}

/**
 * How a blob may be replaced under the same creation instant so that every machine's offset file tells the two contents
 * apart: what a file does not remember yet, after a crash for one, counts as agreeing (docs/guarantees.md).
 */
export function recognizableBy(machines: readonly MachineFiles[], blob: WrittenBlob): Recognizable {
  const marks = machines.map((machine) => {
    const newest = blobsIn(machine)[`${container}/${blob.name}`]?.at(-1)
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

function blobsIn(machine: MachineFiles): Readonly<Record<string, readonly StoredGeneration[]>> {
  const text = contentOf(machine, `/state/${pipelineName}.offset.json`)
  if (text === undefined) return {}
  return (JSON.parse(text) as { blobs: Record<string, StoredGeneration[]> }).blobs
}
