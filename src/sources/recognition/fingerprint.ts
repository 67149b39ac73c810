import { createHash } from 'node:crypto'

/** Bytes read of a blob's head: enough to recognize its generation and its framing. */
export const headBytes = 256

/** Bytes before an offset that are compared when reading resumes there. */
export const overlapBytes = 64

/** A range of a blob generation and the digest of its bytes. */
export interface Fingerprint {
  readonly start: number
  readonly bytes: number
  /** The first 16 hexadecimal digits of their SHA-256. */
  readonly digest: string
}

export function fingerprintOf(start: number, bytes: Buffer): Fingerprint {
  return { start, bytes: bytes.length, digest: createHash('sha256').update(bytes).digest('hex').slice(0, 16) }
}

/** @returns a fingerprint as it is written to the offset file: `<start>+<bytes>:<digest>` */
export function formatFingerprint({ start, bytes, digest }: Fingerprint): string {
  return `${start}+${bytes}:${digest}`
}

/** @returns undefined for a text that `formatFingerprint` did not write */
export function parseFingerprint(text: string | undefined): Fingerprint | undefined {
  const parts = /^(\d{1,15})\+(\d{1,6}):([\da-f]{16})$/.exec(text ?? '')
  if (parts === null) return undefined
  return { start: Number(parts[1]), bytes: Number(parts[2]), digest: parts[3] as string }
}

/** @param found the blob's bytes in the fingerprint's range */
export function matchesFingerprint({ start, bytes, digest }: Fingerprint, found: Buffer): boolean {
  return found.length === bytes && fingerprintOf(start, found).digest === digest
}
