import { z } from '../zod.ts'
import { parseSasUrl } from './sas-url.ts'

/** A storage account and how to get in. Secrets come from the environment or an identity. */
export type AccountStorage =
  | { readonly kind: 'connection-string'; readonly connectionString: string }
  /** An account by name or URL, with one of its keys. */
  | { readonly kind: 'shared-key'; readonly account: string; readonly key: string }
  /**
   * An account by name or `https` URL (which of other clouds than the public one names their sign-in too), with
   * `DefaultAzureCredential`, or with the user-assigned managed identity of a client id.
   */
  | {
      readonly kind: 'account'
      readonly account: string
      readonly managedIdentityClientId?: string | undefined
    }
  /** A SAS URL of the account, the container or one blob, or a function that gives a new one before it ends. */
  | { readonly kind: 'sas'; readonly url: string | (() => string | Promise<string>) }

const sasForm = { error: 'expected a URL with a signature (sig=…), or a function that gives one' }

// What the SDK cannot do without; it has the last word when it connects.
const connectionStringForm = /(?:^|;)\s*(?:AccountName|BlobEndpoint|UseDevelopmentStorage)\s*=/i

/** The options of each kind of access to an account, as variants of a union. */
export const accountStorageVariants = [
  z.strictObject({
    kind: z.literal('connection-string'),
    connectionString: z
      .string()
      .min(1)
      .regex(
        connectionStringForm,
        'expected …;AccountName=…;AccountKey=… or BlobEndpoint=…;SharedAccessSignature=…',
      ),
  }),
  z.strictObject({
    kind: z.literal('shared-key'),
    account: z
      .string()
      .regex(/^(?:[a-z0-9]{3,24}|https?:\/\/[^?#\s]+)$/, 'expected an account name or its URL'),
    key: z.base64('expected a key in base64').min(1),
  }),
  z.strictObject({
    kind: z.literal('account'),
    // The identity library gives no token for a request that could be read on its way.
    account: z
      .string()
      .regex(/^(?:[a-z0-9]{3,24}|https:\/\/[^?#\s]+)$/, 'expected an account name or its https URL'),
    managedIdentityClientId: z.guid().optional(),
  }),
  z.strictObject({
    kind: z.literal('sas'),
    url: z.union(
      [
        z.string().refine((text) => parseSasUrl(text) !== undefined, sasForm),
        z.custom<() => string | Promise<string>>((value) => typeof value === 'function'),
      ],
      sasForm,
    ),
  }),
] as const
