// Reads one blob several times with an identity, in a process of its own: which certificates Node trusts is settled when
// a process starts, and so is where the identity library looks for a managed identity.
import dns from 'node:dns'
import { inspect } from 'node:util'
import { ContainerClient } from '@azure/storage-blob'
import { connectContainer } from '../../src/azure/connect-container.ts'
import { systemClock } from '../../src/clock.ts'
import { isTailraceError } from '../../src/errors.ts'
import { describeError } from '../../src/reporting/logger.ts'
import { AzureBlobReader } from '../../src/sources/readers/azure-blob-reader.ts'

const { account = '', reads = '1', clientId, credential } = process.env

// An account's own audience is told from its host's name, which has to lead to the loopback here.
const lookup = dns.lookup as (...args: unknown[]) => void
Object.assign(dns, {
  lookup: (name: string, options: dns.LookupOptions, done: (...args: unknown[]) => void) => {
    if (!name.endsWith('.blob.core.windows.net')) return lookup(name, options, done)
    return options.all === true
      ? done(null, [{ address: '127.0.0.1', family: 4 }])
      : done(null, '127.0.0.1', 4)
  },
})

let tokens = 0
const losesItsTokens = {
  getToken: async () => {
    tokens += 1
    if (tokens === 1) return { token: 'token-1', expiresOnTimestamp: Date.now() }
    throw Object.assign(new Error('the endpoint is not available'), { name: 'CredentialUnavailableError' })
  },
}
const reader = new AzureBlobReader(
  credential === 'loses its tokens'
    ? new ContainerClient(`${account}/logs`, losesItsTokens, { retryOptions: { maxTries: 1 } })
    : connectContainer(
        { kind: 'account', account, managedIdentityClientId: clientId },
        { container: 'logs', clock: systemClock },
      ),
)

for (let time = 0; time < Number(reads); time += 1) {
  try {
    const { kind } = await reader.read('a.json', { offset: 0, maxBytes: 10 })
    console.log(JSON.stringify({ kind }))
  } catch (error) {
    if (!isTailraceError(error)) throw error
    const { code, message } = error
    const told = inspect(error, { depth: 20, showHidden: true }) + JSON.stringify(describeError(error))
    console.log(JSON.stringify({ code, message, told }))
  }
}
