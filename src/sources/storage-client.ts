import type * as Sdk from '@azure/storage-blob'
import type { StorageConfig } from '../config.ts'
import { BlobServiceClient, ContainerClient } from './azure-sdk.ts'

// The SDK repeats some failures on its own, blindly to Retry-After; the one retry loop does it instead.
const options: Sdk.StoragePipelineOptions = { retryOptions: { maxTries: 1 } }

/** Connects to a container of a real account; nothing is asked of it yet. */
export async function connectContainer(
  storage: Exclude<StorageConfig, { kind: 'embedded' }>,
  container: string,
): Promise<Sdk.ContainerClient> {
  switch (storage.kind) {
    case 'connection-string':
      return BlobServiceClient.fromConnectionString(storage.connectionString, options).getContainerClient(
        container,
      )
    case 'account': {
      // Loaded only when it is needed: it is half of the start-up time of everything else together.
      const { DefaultAzureCredential } = await import('@azure/identity')
      const service = new BlobServiceClient(
        accountUrl(storage.account),
        new DefaultAzureCredential(),
        options,
      )
      return service.getContainerClient(container)
    }
    case 'sas': {
      const url = new URL(storage.url)
      // A container's SAS names its container in the path (`sr=c`); an account's SAS leaves it to us.
      return url.pathname.length > 1
        ? new ContainerClient(storage.url, undefined, options)
        : new BlobServiceClient(storage.url, undefined, options).getContainerClient(container)
    }
  }
}

function accountUrl(account: string): string {
  return account.includes('://') ? account : `https://${account}.blob.core.windows.net`
}
