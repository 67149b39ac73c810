import { randomUUID } from 'node:crypto'
import type { TestContext } from 'node:test'
import type * as Sdk from '@azure/storage-blob'
import { SimulatedClock } from '../../../doubles/simulated-clock.ts'
import { ContainerClient } from '../../../src/azure/sdk.ts'
import { AzureBlobReader } from '../../../src/sources/readers/azure-blob-reader.ts'
import { accountClient } from '../account-client.ts'
import { BlobService } from './blob-service.ts'
import { inMemoryContainer } from './in-memory-http-client.ts'
import { serveBlobService } from './serve-blob-service.ts'

/** One container of an account, as its writers see it. */
export interface StorageWriter {
  create(name: string): Promise<void>
  append(name: string, text: string): Promise<void>
  /** Another ETag, and nothing else. */
  touch(name: string): Promise<void>
  remove(name: string): Promise<void>
}

/** A storage account with an empty container, one of several that have to behave alike. */
export interface StorageUnderTest {
  readonly writer: StorageWriter
  readonly container: Sdk.ContainerClient
  /** A container that does not exist. */
  readonly elsewhere: Sdk.ContainerClient
  readonly reader: AzureBlobReader
  /** Lets what was asked of the clients come to its end. */
  settle<T>(work: Promise<T>): Promise<T>
  /** The account behind it, where it is the tests' own. */
  readonly service?: BlobService
}

const container = 'logs'
const noRetries = { retryOptions: { maxTries: 1 } }

/** The tests' own service behind a real server. */
export async function storageOverSockets(t: TestContext): Promise<StorageUnderTest> {
  const service = new BlobService(new SimulatedClock())
  const url = await serveBlobService(t, service)
  const client = new ContainerClient(`${url}/${container}`, undefined, noRetries)
  return {
    ...ownStorage(service),
    container: client,
    elsewhere: new ContainerClient(`${url}/elsewhere`, undefined, noRetries),
    reader: new AzureBlobReader(client),
    settle: (work) => work,
  }
}

/** The tests' own service without sockets. */
export async function storageInMemory(): Promise<StorageUnderTest> {
  const clock = new SimulatedClock()
  const service = new BlobService(clock)
  const client = inMemoryContainer(service, container, clock)
  return {
    ...ownStorage(service),
    container: client,
    elsewhere: inMemoryContainer(service, 'elsewhere', clock),
    reader: new AzureBlobReader(client, { clock }),
    settle: (work) => clock.run(work),
  }
}

/** A new container in an emulator that runs. */
export async function storageInAzurite(connectionString: string): Promise<StorageUnderTest> {
  const account = accountClient(connectionString)
  const client = account.getContainerClient(`logs-${randomUUID()}`)
  await client.create()
  const blob = (name: string): Sdk.AppendBlobClient => client.getAppendBlobClient(name)
  return {
    writer: {
      create: async (name) => void (await blob(name).create()),
      append: async (name, text) => void (await blob(name).appendBlock(text, Buffer.byteLength(text))),
      touch: async (name) => void (await blob(name).setMetadata({ touched: 'true' })),
      remove: async (name) => void (await blob(name).delete()),
    },
    container: client,
    elsewhere: account.getContainerClient('elsewhere'),
    reader: new AzureBlobReader(client),
    settle: (work) => work,
  }
}

function ownStorage(service: BlobService): Pick<StorageUnderTest, 'writer' | 'service'> {
  service.createContainer(container)
  return {
    service,
    writer: {
      create: async (name) => service.create(container, name),
      append: async (name, text) => service.append(container, name, text),
      touch: async (name) => service.touch(container, name),
      remove: async (name) => service.remove(container, name),
    },
  }
}
