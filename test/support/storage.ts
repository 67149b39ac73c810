import type { TestContext } from 'node:test'
import type { ContainerClient } from '@azure/storage-blob'
import { EmbeddedStorage } from '../../src/sources/embedded/embedded-storage.ts'
import { accountClient } from './account-client.ts'

/** An emulated storage account with one container. */
export interface TestStorage {
  readonly connectionString: string
  readonly container: ContainerClient
  /** Appends to an append blob, which is made when it is missing. */
  append(blob: string, bytes: Buffer | string): Promise<void>
  /** The whole content of a blob. */
  content(blob: string): Promise<Buffer>
  stop(): Promise<void>
}

export const containerName = 'logs'

/** Starts Azurite in this process, with an empty container `logs`. */
export async function openStorage(): Promise<TestStorage> {
  const storage = await EmbeddedStorage.start()
  const container = accountClient(storage.connectionString).getContainerClient(containerName)
  await container.create()
  const known = new Set<string>()
  return {
    connectionString: storage.connectionString,
    container,
    append: async (blob, bytes) => {
      const client = container.getAppendBlobClient(blob)
      if (!known.has(blob)) await client.createIfNotExists()
      known.add(blob)
      const content = Buffer.from(bytes)
      if (content.length > 0) await client.appendBlock(content, content.length)
    },
    content: (blob) => container.getBlobClient(blob).downloadToBuffer(),
    stop: () => storage.stop(),
  }
}

/** A storage that stops with the test. */
export async function startStorage(t: Pick<TestContext, 'after'>): Promise<TestStorage> {
  const storage = await openStorage()
  t.after(() => storage.stop())
  return storage
}
