import type { AccountStorage } from '../../../azure/account-storage.ts'
import { connectContainer } from '../../../azure/connect-container.ts'
import { parseSasUrl } from '../../../azure/sas-url.ts'
import type { Clock } from '../../../clock.ts'
import { TailraceError } from '../../../errors.ts'
import { interactiveRetry, type RetryOptions } from '../../../retry.ts'
import type { DeltaTarget } from '../options.ts'
import { AzureDeltaStorage } from './azure.ts'
import type { DeltaStorage } from './delta-storage.ts'
import { LocalDeltaStorage } from './local.ts'
import { type AzureLocation, tableLocation } from './location.ts'

export interface TableStorageOptions {
  /** Directory for local copies of files of a table in Azure. Must exist. */
  readonly downloadDirectory: string
  readonly clock: Clock
  /** How failed requests to Azure are repeated. Default: until they succeed. */
  readonly retry?: Omit<RetryOptions, 'clock'> | undefined
}

/**
 * Makes the storage of a pipeline's table. No request is sent before it is used.
 *
 * @throws CONFIG_INVALID when `sink.storage` is for another account than `sink.root`
 */
export function openTableStorage(
  target: Pick<DeltaTarget, 'sink' | 'table' | 'sourceStorage'>,
  { downloadDirectory, clock, retry = {} }: TableStorageOptions,
): DeltaStorage {
  const location = tableLocation(target)
  if (location.kind === 'directory') return new LocalDeltaStorage(location.path, clock)
  const { accountUrl, container, folder } = location
  return new AzureDeltaStorage({
    container: connectContainer(storageFor(location, target), { container, clock }),
    containerUrl: `${accountUrl}/${container}`,
    folder,
    downloadDirectory,
    retry: { ...retry, clock },
  })
}

function storageFor(
  location: AzureLocation,
  { sink, sourceStorage }: Pick<DeltaTarget, 'sink' | 'sourceStorage'>,
): AccountStorage {
  if (sink.storage !== undefined) {
    if (opens(sink.storage, location) !== false) return sink.storage
    throw new TailraceError(
      'CONFIG_INVALID',
      `sink.storage is for another account or container: expected ${location.accountUrl}/${location.container}, the place of sink.root.`,
    )
  }
  if (sourceStorage !== undefined && opens(sourceStorage, location) === true) return sourceStorage
  return { kind: 'account', account: location.accountUrl }
}

/** @returns whether a credential is for a location's container; undefined for a SAS that is only known when requested */
function opens(storage: AccountStorage, { accountUrl, container }: AzureLocation): boolean | undefined {
  switch (storage.kind) {
    case 'account':
    case 'shared-key': {
      const { account } = storage
      const url = account.includes('://') ? account : `https://${account}.blob.core.windows.net`
      return url.replace(/\/+$/, '') === accountUrl
    }
    case 'connection-string':
      return accountOf(storage.connectionString) === accountUrl
    case 'sas': {
      if (typeof storage.url === 'function') return undefined
      const sas = parseSasUrl(storage.url)
      if (sas?.accountUrl !== accountUrl || sas.scope === 'blob') return false
      return sas.container === undefined || sas.container === container
    }
  }
}

/** Parses a connection string (https://learn.microsoft.com/azure/storage/common/storage-configure-connection-string). */
function accountOf(connectionString: string): string {
  const parts = new Map(
    connectionString.split(';').map((part) => {
      const at = part.indexOf('=')
      return [part.slice(0, at).trim(), part.slice(at + 1).trim()] as const
    }),
  )
  if (parts.get('UseDevelopmentStorage') === 'true') return 'http://127.0.0.1:10000/devstoreaccount1'
  const suffix = parts.get('EndpointSuffix') ?? 'core.windows.net'
  const named = `https://${parts.get('AccountName') ?? ''}.blob.${suffix}`
  return (parts.get('BlobEndpoint') ?? named).replace(/\/+$/, '')
}

/** Makes the storage of a pipeline's table for a command, whose requests fail after a few attempts. */
export function commandStorage(
  target: DeltaTarget,
  downloadDirectory: string,
  clock: Clock,
  signal?: AbortSignal,
): DeltaStorage {
  return openTableStorage(target, { downloadDirectory, clock, retry: { policy: interactiveRetry, signal } })
}
