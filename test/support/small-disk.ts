import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { type FileHandle, open, statfs } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'

const MiB = 1024 * 1024

/** A file system of its own, small enough to be filled. */
export interface SmallDisk {
  readonly directory: string
  freeBytes(): Promise<number>
  /** Fills it or makes room, so that about this much is free. */
  leaveFree(bytes: number): Promise<void>
  /** Nothing can be written from then on. */
  makeReadOnly(): Promise<void>
}

/** Why no small file system can be mounted here, or false: made to be a test's `skip`. */
export function smallDiskMissing(): string | false {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'only root on Linux can mount a tmpfs'
  const directory = mkdtempSync(join(tmpdir(), 'tailrace-mount-'))
  try {
    mount(directory, 1)
    unmount(directory)
    return false
  } catch {
    return 'a tmpfs cannot be mounted here'
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

/** Mounts a tmpfs that is unmounted with the test. */
export async function smallDisk(t: Pick<TestContext, 'after'>, mebibytes: number): Promise<SmallDisk> {
  const directory = mkdtempSync(join(tmpdir(), 'tailrace-disk-'))
  let filler: FileHandle | undefined
  mount(directory, mebibytes)
  t.after(async () => {
    await filler?.close()
    unmount(directory)
    rmSync(directory, { recursive: true, force: true })
  })
  const freeBytes = async () => {
    const { bavail, bsize } = await statfs(directory)
    return bavail * bsize
  }
  filler = await open(join(directory, 'filler'), 'w+')
  const file = filler
  return {
    directory,
    freeBytes,
    makeReadOnly: async () => {
      await file.close()
      filler = undefined
      execFileSync('mount', ['-o', 'remount,ro', directory], { stdio: 'pipe' })
    },
    leaveFree: async (bytes) => {
      const { size } = await file.stat()
      const surplus = (await freeBytes()) - bytes
      if (surplus < 0) return file.truncate(Math.max(0, size + surplus))
      // Only written bytes take room; a file that is merely extended has none.
      for (let written = 0; written < surplus; written += MiB) {
        const part = Buffer.alloc(Math.min(MiB, surplus - written), 1)
        await file.write(part, 0, part.length, size + written)
      }
    },
  }
}

function mount(directory: string, mebibytes: number): void {
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${mebibytes}m`, 'tmpfs', directory], { stdio: 'pipe' })
}

function unmount(directory: string): void {
  try {
    execFileSync('umount', [directory], { stdio: 'pipe' })
  } catch {
    // A process that still ends holds it; detached, it goes when that process does.
    execFileSync('umount', ['--lazy', directory], { stdio: 'pipe' })
  }
}
