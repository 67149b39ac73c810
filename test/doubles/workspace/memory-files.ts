import type { VolumeFiles } from '../../../doubles/workspace/warehouse-engine.ts'

/** Volumes in memory, without the service's rules: those are the workspace's. */
export class MemoryFiles implements VolumeFiles {
  readonly #files = new Map<string, { readonly content: Buffer; readonly modifiedAtMs: number }>()

  async write(volumePath: string, content: Buffer): Promise<void> {
    this.#files.set(volumePath, { content, modifiedAtMs: Date.UTC(2026, 10, 24) })
  }

  async read(volumePath: string): Promise<Buffer | undefined> {
    return this.#files.get(volumePath)?.content
  }

  async remove(volumePath: string): Promise<boolean> {
    return this.#files.delete(volumePath)
  }

  async list(folder: string): ReturnType<VolumeFiles['list']> {
    return [...this.#files]
      .filter(([path]) => path.startsWith(`${folder}/`))
      .map(([path, { content, modifiedAtMs }]) => ({ path, bytes: content.length, modifiedAtMs }))
  }
}
