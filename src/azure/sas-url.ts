/** What a SAS URL says of itself, its signature apart. */
export interface SasUrl {
  /** Where the account's containers lie, without an ending slash. */
  readonly accountUrl: string
  /** The whole query, signature included: a secret. */
  readonly query: string
  /** What the signature is good for. */
  readonly scope: 'account' | 'container' | 'blob'
  /** The container that the path names. */
  readonly container: string | undefined
  /** The blob that the path names. */
  readonly blob: string | undefined
  /** From when on it is refused; undefined when a stored access policy says so instead. */
  readonly expiresAtMs: number | undefined
}

// Emulators and bare addresses have no name in which an account could stand: the path begins with it.
const accountInPath = /^(?:[^.]+|\[.*\]|\d+(?:\.\d+){3}|host\.docker\.internal)$/

/**
 * Reads a SAS URL of an account, a container or a blob.
 *
 * https://learn.microsoft.com/rest/api/storageservices/create-service-sas: `sr=c` signs a container, `sr=b` one blob;
 * an account's SAS has no `sr`.
 *
 * @returns undefined for a text that is no URL with a signature
 */
export function parseSasUrl(text: string): SasUrl | undefined {
  if (!URL.canParse(text)) return undefined
  const url = new URL(text)
  const { searchParams, hostname, origin, pathname, search } = url
  if (!/^https?:$/.test(url.protocol) || !searchParams.has('sig')) return undefined
  const names = pathname.split('/').filter((name) => name !== '')
  const account = accountInPath.test(hostname) ? names.splice(0, 1) : []
  const [container, ...blob] = names
  const signed = searchParams.get('sr')
  const expiresAtMs = Date.parse(searchParams.get('se') ?? '')
  return {
    accountUrl: [origin, ...account].join('/'),
    query: search,
    scope: signed === null ? 'account' : signed.startsWith('b') ? 'blob' : 'container',
    container: decoded(container),
    blob: blob.length === 0 ? undefined : decoded(blob.join('/')),
    expiresAtMs: Number.isNaN(expiresAtMs) ? undefined : expiresAtMs,
  }
}

/**
 * Compares a SAS with what is to be read.
 *
 * @param fixedBlob the one blob that is to be read; undefined for several
 * @returns what does not fit, as `found …, expected …`; undefined when all does
 */
export function sasMismatch(
  { scope, container, blob }: SasUrl,
  wanted: string,
  fixedBlob: string | undefined,
): string | undefined {
  if (container === undefined) {
    return scope === 'account'
      ? undefined
      : `found a SAS URL without a container, expected ${wanted} in its path`
  }
  if (container !== wanted) {
    return `found a SAS URL of the container ${container}, expected source.container (${wanted})`
  }
  if (blob === undefined || blob === fixedBlob) {
    return scope === 'blob' && blob === undefined
      ? `found a SAS of one blob without a blob in its path, expected ${fixedBlob ?? 'a blob'}`
      : undefined
  }
  return fixedBlob === undefined
    ? `found a SAS URL of the one blob ${blob}, expected one of the container, because source.blobs may be several`
    : `found a SAS URL of the blob ${blob}, expected source.blobs (${fixedBlob})`
}

/** Says when a SAS ended. */
export function expired(instantMs: number): string {
  return `the SAS expired at ${new Date(instantMs).toISOString()}`
}

function decoded(name: string | undefined): string | undefined {
  try {
    return name === undefined ? undefined : decodeURIComponent(name)
  } catch {
    return name
  }
}
