import type * as Sdk from '@azure/storage-blob'
import type { StorageConfig } from '../config.ts'
import { TailraceError } from '../errors.ts'
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
      return serviceOf(storage.connectionString).getContainerClient(container)
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
      // https://learn.microsoft.com/rest/api/storageservices/create-service-sas: `sr=c` signs one container, which
      // the URL then names; an account's SAS leaves it to us.
      const url = new URL(storage.url)
      if (url.searchParams.get('sr') !== 'c') {
        return new BlobServiceClient(storage.url, undefined, options).getContainerClient(container)
      }
      const client = new ContainerClient(storage.url, undefined, options)
      if (client.containerName === container) return client
      throw new TailraceError(
        'CONFIG_INVALID',
        `The SAS URL is for the container ${client.containerName}, and source.container is ${container}.`,
      )
    }
  }
}

/** @throws CONFIG_INVALID for a text that is no connection string; the text itself is a secret and not shown */
function serviceOf(connectionString: string): Sdk.BlobServiceClient {
  try {
    return BlobServiceClient.fromConnectionString(connectionString, options)
  } catch {
    throw new TailraceError(
      'CONFIG_INVALID',
      'The storage connection string cannot be read; expected AccountName=…;AccountKey=… or BlobEndpoint=…;SharedAccessSignature=…',
    )
  }
}

function accountUrl(account: string): string {
  return account.includes('://') ? account : `https://${account}.blob.core.windows.net`
}
