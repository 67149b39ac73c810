import type { ContainerClient } from '@azure/storage-blob'

type Pipeline = ContainerClient['storageClientContext']['pipeline']
type Step = Parameters<Pipeline['addPolicy']>[0]

/** What the SDK gets to parse: it wants a listing, and reads one of 5,000 names for a second. */
const emptyListing = '<EnumerationResults><Blobs></Blobs></EnumerationResults>'

/** The bodies of listings that are being asked for, by the signal of their request. */
const bodies = new WeakMap<object, string | undefined>()

const keepsListings: Step = {
  name: 'keepsListings',
  async sendRequest(request, next) {
    const response = await next(request)
    const { abortSignal } = request
    // An error's body is the SDK's to read.
    if (response.status === 200 && abortSignal !== undefined && bodies.has(abortSignal)) {
      bodies.set(abortSignal, response.bodyAsText ?? '')
      response.bodyAsText = emptyListing
      // Of a proxy's page, or without a type, the SDK would not read it as XML.
      response.headers.set('content-type', 'application/xml')
    }
    return response
  },
}

/**
 * Keeps the body of a listing from the SDK, which sends the request and reads its errors as ever.
 *
 * The SDK's own way to leave a body alone, `shouldDeserialize`, is asked only after it has parsed the XML.
 *
 * @param signal that of the one request whose body is kept
 * @returns the body, once the request is answered
 */
export function takeListing(client: ContainerClient, signal: AbortSignal): () => string {
  // biome-ignore lint/complexity/useLiteralKeys: it is protected, and a client that is made takes no step otherwise.
  const { pipeline } = client['storageClientContext']
  if (!pipeline.getOrderedPolicies().includes(keepsListings))
    pipeline.addPolicy(keepsListings, { afterPhase: 'Deserialize' })
  bodies.set(signal, undefined)
  return () => {
    const body = bodies.get(signal)
    bodies.delete(signal)
    if (body === undefined) throw new Error('the answer has passed by unread')
    return body
  }
}
