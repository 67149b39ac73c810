import type { FileHandle } from 'node:fs/promises'

/** Writes all bytes at a fixed place, so that the same write can be repeated. */
export async function writeAt(file: FileHandle, bytes: Buffer, position: number): Promise<void> {
  for (let written = 0; written < bytes.length; ) {
    const result = await file.write(bytes, written, bytes.length - written, position + written)
    written += result.bytesWritten
  }
}
