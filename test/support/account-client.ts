import { Agent } from 'node:http'
import type * as Sdk from '@azure/storage-blob'
import { BlobServiceClient, newPipeline } from '../../src/azure/sdk.ts'

/**
 * A client of an emulated account that opens a connection for each request and repeats none.
 *
 * The emulator closes connections that are idle for 5 s, and an append that meets such an end could not tell whether it was
 * done. The SDK's option against kept connections has it use Node's own agent, which keeps them since Node 19.
 */
export function accountClient(connectionString: string): Sdk.BlobServiceClient {
  const { url, credential } = BlobServiceClient.fromConnectionString(connectionString)
  const pipeline = newPipeline(credential, { retryOptions: { maxTries: 1 } })
  const agent = new Agent({ keepAlive: false })
  pipeline.factories.push({
    create: (next) => ({
      sendRequest: (request) => {
        request.agent = agent
        return next.sendRequest(request)
      },
    }),
  } satisfies Sdk.RequestPolicyFactory)
  return new BlobServiceClient(url, pipeline)
}
