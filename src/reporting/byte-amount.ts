/** @returns a number of bytes for a person, such as `4.1 MB` */
export function byteAmount(bytes: number): string {
  if (bytes >= 1e9) return `${(bytes / 1e9).toFixed(2)} GB`
  if (bytes >= 1e6) return `${(bytes / 1e6).toFixed(1)} MB`
  return bytes >= 1e3 ? `${Math.ceil(bytes / 1e3)} kB` : `${bytes} B`
}

/** @returns a time for a person, such as `40 s` or `2.5 h` */
export function timeAmount(seconds: number): string {
  if (seconds < 90) return `${Math.ceil(seconds)} s`
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`
}
