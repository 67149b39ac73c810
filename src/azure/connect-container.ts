import type * as Sdk from '@azure/storage-blob'
import type { Clock } from '../clock.ts'
import { TailraceError } from '../errors.ts'
import type { AccountStorage } from './account-storage.ts'
import { connectInTime } from './connecting-agent.ts'
import { ContainerConnection, type OpenedContainer } from './container-connection.ts'
import { type EntraCredential, entraCredential } from './entra-credential.ts'
import { copied } from './failure.ts'
import { expired, parseSasUrl, sasMismatch } from './sas-url.ts'
import { BlobServiceClient, ContainerClient, newPipeline, StorageSharedKeyCredential } from './sdk.ts'

export interface ConnectOptions {
  readonly container: string
  /** The one blob that is to be read, if it is one: a SAS may be for it alone. */
  readonly fixedBlob?: string | undefined
  readonly clock: Clock
  /** How long a connection, TLS included, may take to be made, in milliseconds. Default 10,000. */
  readonly connectMs?: number
}

type Credential = Sdk.StorageSharedKeyCredential | EntraCredential | undefined

/**
 * The way into a container of a real account; nothing is asked of it yet.
 *
 * @throws CONFIG_INVALID for a connection string that is none, and for a SAS of something else than is to be read
 */
export function connectContainer(storage: AccountStorage, options: ConnectOptions): ContainerConnection {
  const { container, clock } = options
  const inTime = connectInTime(clock, options.connectMs ?? 10_000)
  const clientOf = (url: string, credential?: Credential, audience?: string): Sdk.ContainerClient => {
    const pipeline = newPipeline(credential, {
      // The SDK repeats some failures on its own, blindly to Retry-After; the one retry loop does it instead.
      retryOptions: { maxTries: 1 },
      ...(audience === undefined ? {} : { audience }),
    })
    pipeline.factories.push(inTime)
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
                `Nothing is asked of storage: ${expired(opened.endsAtMs)}.`,
              )
            return { client: opened.client }
          },
          false,
        )
      }
      // Its account is known with the first URL; until then a name has to do.
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

/** A container's client from a SAS of the account, of the container, or of one blob in it. */
function openSas(
  text: string,
  { container, fixedBlob }: ConnectOptions,
  clientOf: (url: string) => Sdk.ContainerClient,
): { readonly client: Sdk.ContainerClient; readonly endsAtMs: number | undefined } {
  const sas = parseSasUrl(text)
  if (sas === undefined)
    throw new TailraceError('CONFIG_INVALID', 'source.storage.url is no URL with a signature (sig=…).')
  const mismatch = sasMismatch(sas, container, fixedBlob)
  if (mismatch !== undefined) throw new TailraceError('CONFIG_INVALID', `source.storage.url: ${mismatch}.`)
  // The client of a container passes its query on to its blobs, so a SAS of one blob works from here too.
  return { client: clientOf(`${sas.accountUrl}/${container}${sas.query}`), endsAtMs: sas.expiresAtMs }
}

async function askForSas(url: () => string | Promise<string>): Promise<string> {
  try {
    return await url()
  } catch (error) {
    throw new TailraceError('SOURCE_UNAVAILABLE', 'The function source.storage.url gave no SAS URL.', {
      cause: copied(error),
    })
  }
}

/** A SAS is renewed when a tenth of its time is left, and at the latest five minutes before it ends. */
function renewalOf(endsAtMs: number, nowMs: number): number {
  return endsAtMs - Math.min(300_000, Math.max(0, endsAtMs - nowMs) / 10)
}

/**
 * Where an account's cloud signs in; undefined for the public one, and where AZURE_AUTHORITY_HOST decides.
 *
 * https://learn.microsoft.com/entra/identity-platform/authentication-national-cloud
 */
export function authorityHostOf(account: string): string | undefined {
  const { hostname } = new URL(account)
  if (hostname.endsWith('.chinacloudapi.cn')) return 'https://login.chinacloudapi.cn'
  return hostname.endsWith('.usgovcloudapi.net') ? 'https://login.microsoftonline.us' : undefined
}

/**
 * For whom a token is asked: any storage, or by turns this account.
 *
 * A managed identity's tokens are cached by the identity library for the whole process and by the machine's endpoint
 * for up to a day, whatever credential asks; both keep them by audience. Asking for the other audience is the one
 * supported way to a token that was not in a cache when storage refused the last.
 * https://learn.microsoft.com/azure/storage/blobs/authorize-access-azure-active-directory
 */
function audienceOf(account: string, renewals: number): string | undefined {
  const { protocol, hostname } = new URL(account)
  return renewals % 2 === 1 && hostname.includes('.blob.core.')
    ? `${protocol}//${hostname}/.default`
    : undefined
}

/** @throws CONFIG_INVALID for a text that is no connection string; the text itself is a secret and not shown */
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

/** The account's name is part of what a key signs: the host's first part, or for an emulator the path's. */
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
