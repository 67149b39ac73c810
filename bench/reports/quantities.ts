import type { RequestCounts } from '../../src/sources/readers/counted-reader.ts'

/** A whole number with its thousands apart. */
export function count(value: number): string {
  return value.toLocaleString('en')
}

/** Units of 1,000,000 bytes; a decimal where there are few. */
export function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(bytes < 100e6 ? 1 : 0)
}

export function sizeText(inputBytes: number, lines: number): string {
  return `${(inputBytes / 2 ** 20).toFixed(0)} MiB, ${count(lines)} lines`
}

/** All requests for a single blob. */
export function readsOf({ read, unchanged, empty, missing }: RequestCounts): number {
  return read + unchanged + empty + missing
}
