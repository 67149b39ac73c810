import { createHash } from 'node:crypto'

/** Bytes of a blob's head that are looked at: enough to remember a generation by, and to tell its framing. */
export const headBytes = 256

/** Bytes before an offset that are compared when reading goes on there. */
export const overlapBytes = 64

/** Which bytes of a blob generation were seen, and what they were. */
export interface Fingerprint {
  readonly start: number
  readonly bytes: number
  /** The first 16 hexadecimal digits of their SHA-256. */
  readonly digest: string
}

export function fingerprintOf(start: number, bytes: Buffer): Fingerprint {
  return { start, bytes: bytes.length, digest: createHash('sha256').update(bytes).digest('hex').slice(0, 16) }
}

/** @returns the form in which a fingerprint is kept: `<start>+<bytes>:<digest>`. */
export function formatFingerprint({ start, bytes, digest }: Fingerprint): string {
  return `${start}+${bytes}:${digest}`
}

/** @returns undefined for a text that `formatFingerprint` did not write. */
export function parseFingerprint(text: string | undefined): Fingerprint | undefined {
  const parts = /^(\d{1,15})\+(\d{1,6}):([\da-f]{16})$/.exec(text ?? '')
  if (parts === null) return undefined
  return { start: Number(parts[1]), bytes: Number(parts[2]), digest: parts[3] as string }
}

/** @returns whether the bytes at the fingerprint's place are still the same. */
export function matchesFingerprint({ start, bytes, digest }: Fingerprint, found: Buffer): boolean {
  return found.length === bytes && fingerprintOf(start, found).digest === digest
}
