import type * as Sdk from '@azure/storage-blob'
import type { Clock } from '../clock.ts'
import { TailraceError } from '../errors.ts'
import { requireInstalled } from '../package.ts'
import type { AccountStorage } from './account-storage.ts'
import { connectInTime } from './connecting-agent.ts'
import { ContainerConnection, type OpenedContainer } from './container-connection.ts'
import { type EntraCredential, entraCredential } from './entra-credential.ts'
import { copied } from './failure.ts'
import { expired, parseSasUrl, sasMismatch } from './sas-url.ts'
import { BlobServiceClient, ContainerClient, newPipeline, StorageSharedKeyCredential } from './sdk.ts'
import { identifyTimedOutRequests } from './timed-out-requests.ts'

export interface ConnectOptions {
  readonly container: string
  /** The name of the blob, for a source of exactly one: its SAS may be valid for that blob only. */
  readonly fixedBlob?: string | undefined
  readonly clock: Clock
  /** Limit for opening a connection, TLS included, in milliseconds. Default 10,000. */
  readonly connectMs?: number | undefined
}

type Credential = Sdk.StorageSharedKeyCredential | EntraCredential | undefined

/**
 * Creates the connection to a container of an account, without sending a request.
 *
 * @throws CONFIG_INVALID for a malformed connection string, and for a SAS of another container or blob
 */
export function connectContainer(storage: AccountStorage, options: ConnectOptions): ContainerConnection {
  const { container, clock } = options
  const inTime = connectInTime(clock, options.connectMs ?? 10_000)
  const clientOf = (url: string, credential?: Credential, audience?: string): Sdk.ContainerClient => {
    // The SDK would retry some failures itself and ignore Retry-After. `retry` of src/retry.ts does it instead.
    const retryOptions = { maxTries: 1 }
    const pipeline = newPipeline(
      credential,
      audience === undefined ? { retryOptions } : { retryOptions, audience },
    )
    pipeline.factories.push(inTime, identifyTimedOutRequests())
    return new ContainerClient(url, pipeline)
  }
  const connection = (
    account: string,
    open: (fresh: boolean) => Promise<OpenedContainer>,
    renewable: boolean,
  ): ContainerConnection => new ContainerConnection({ container, account, open, renewable, clock })

  switch (storage.kind) {
    case 'connection-string': {
      const service = serviceOf(storage.connectionString)
      const credential = service.credential as Credential
      const client = clientOf(service.getContainerClient(container).url, credential)
      return connection(hostOf(service.url), async () => ({ client }), false)
    }
    case 'shared-key': {
      const account = accountUrl(storage.account)
      const client = clientOf(`${account}/${container}`, sharedKey(account, storage.key))
      return connection(hostOf(account), async () => ({ client }), false)
    }
    case 'account': {
      requireInstalled('@azure/identity', 'Storage of kind account')
      const account = accountUrl(storage.account)
      let renewals = 0
      return connection(
        hostOf(account),
        async (fresh) => {
          if (fresh) renewals += 1
          const credential = await entraCredential({
            managedIdentityClientId: storage.managedIdentityClientId,
            authorityHost: authorityHostOf(account),
          })
          return { client: clientOf(`${account}/${container}`, credential, audienceOf(account, renewals)) }
        },
        true,
      )
    }
    case 'sas': {
      const { url } = storage
      if (typeof url === 'string') {
        const opened = openSas(url, options, clientOf)
        return connection(
          hostOf(url),
          async () => {
            if (opened.endsAtMs !== undefined && opened.endsAtMs <= clock.now())
              throw new TailraceError(
                'SOURCE_DENIED',
                `No request was sent to storage: ${expired(opened.endsAtMs)}.`,
              )
            return { client: opened.client }
          },
          false,
        )
      }
      // The account is part of the URL that the function returns, so it is not known yet.
      return connection(
        `a SAS for ${container}`,
        async () => {
          const { client, endsAtMs } = openSas(await askForSas(url), options, clientOf)
          return { client, renewAtMs: endsAtMs === undefined ? undefined : renewalOf(endsAtMs, clock.now()) }
        },
        true,
      )
    }
  }
}

/** @returns the client of a container, from a SAS of its account, of the container, or of one blob in it */
function openSas(
  text: string,
  { container, fixedBlob }: ConnectOptions,
  clientOf: (url: string) => Sdk.ContainerClient,
): { readonly client: Sdk.ContainerClient; readonly endsAtMs: number | undefined } {
  const sas = parseSasUrl(text)
  if (sas === undefined)
    throw new TailraceError('CONFIG_INVALID', 'source.storage.url is not a URL with a signature (sig=…).')
  const mismatch = sasMismatch(sas, container, fixedBlob)
  if (mismatch !== undefined) throw new TailraceError('CONFIG_INVALID', `source.storage.url: ${mismatch}.`)
  // The SDK appends the container's query to the URLs of its blobs, so a SAS of one blob works here too.
  return { client: clientOf(`${sas.accountUrl}/${container}${sas.query}`), endsAtMs: sas.expiresAtMs }
}

async function askForSas(url: () => string | Promise<string>): Promise<string> {
  try {
    return await url()
  } catch (error) {
    throw new TailraceError(
      'SOURCE_UNAVAILABLE',
      'The function source.storage.url failed to return a SAS URL.',
      {
        cause: copied(error),
      },
    )
  }
}

/** A SAS is renewed when a tenth of its validity is left, but at most five minutes before it expires. */
function renewalOf(endsAtMs: number, nowMs: number): number {
  return endsAtMs - Math.min(300_000, Math.max(0, endsAtMs - nowMs) / 10)
}

/**
 * @returns the sign-in host of the account's cloud; undefined for the public cloud, where AZURE_AUTHORITY_HOST applies
 *
 * https://learn.microsoft.com/entra/identity-platform/authentication-national-cloud
 */
export function authorityHostOf(account: string): string | undefined {
  const { hostname } = new URL(account)
  if (hostname.endsWith('.chinacloudapi.cn')) return 'https://login.chinacloudapi.cn'
  return hostname.endsWith('.usgovcloudapi.net') ? 'https://login.microsoftonline.us' : undefined
}

/**
 * Alternates the audience of a token between all storage (undefined) and this account, to get past token caches.
 *
 * A managed identity's tokens are cached by audience: in the identity library for the whole process, and in the machine's
 * endpoint for up to a day. Requesting the other audience is the only supported way to a fresh token after storage has
 * refused a cached one.
 * https://learn.microsoft.com/azure/storage/blobs/authorize-access-azure-active-directory
 */
function audienceOf(account: string, renewals: number): string | undefined {
  const { protocol, hostname } = new URL(account)
  return renewals % 2 === 1 && hostname.includes('.blob.core.')
    ? `${protocol}//${hostname}/.default`
    : undefined
}

/** @throws CONFIG_INVALID for a malformed connection string, without the text, which is a secret */
function serviceOf(connectionString: string): Sdk.BlobServiceClient {
  try {
    return BlobServiceClient.fromConnectionString(connectionString)
  } catch {
    throw new TailraceError(
      'CONFIG_INVALID',
      'The storage connection string cannot be read; expected DefaultEndpointsProtocol=https;AccountName=…;AccountKey=… or BlobEndpoint=…;SharedAccessSignature=…',
    )
  }
}

/** A key signs the account's name: the first label of the host or, for an emulator, the first segment of the path. */
function sharedKey(account: string, key: string): Sdk.StorageSharedKeyCredential {
  const { hostname, pathname } = new URL(account)
  const name = pathname.length > 1 ? pathname.split('/')[1] : hostname.split('.')[0]
  return new StorageSharedKeyCredential(name ?? '', key)
}

function hostOf(url: string): string {
  return new URL(url).host
}

function accountUrl(account: string): string {
  return account.includes('://') ? account.replace(/\/+$/, '') : `https://${account}.blob.core.windows.net`
}
