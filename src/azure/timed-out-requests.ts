import type { RequestPolicyFactory } from '@azure/storage-blob'

/**
 * @returns a policy of the SDK's pipeline that writes the id of a request into the error of the deadline that ends it, for
 *   `requestIdsOf`
 *
 * The error of a deadline comes from outside of the SDK, so nothing else leads from it to the request.
 */
export function identifyTimedOutRequests(): RequestPolicyFactory {
  return {
    create: (next) => ({
      sendRequest: (request) => {
        const { abortSignal: signal, requestId: clientRequestId } = request
        // Each deadline has a signal of its own, which ends with it: the listener stays for the body of the answer.
        if (signal instanceof AbortSignal)
          signal.addEventListener('abort', () => {
            const reason: unknown = signal.reason
            // A caller's reason may be shared by many requests.
            if (reason instanceof Error && reason.name === 'TimeoutError')
              Object.assign(reason, { clientRequestId })
          })
        return next.sendRequest(request)
      },
    }),
  }
}
