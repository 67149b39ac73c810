/**
 * Measures the costs of a start before its first request to a workspace, in a separate process.
 *
 *   node --import tsx bench/measures/driver-load.ts nothing
 *   node --import tsx bench/measures/driver-load.ts driver             loads the driver of SQL warehouses
 *   node --import tsx bench/measures/driver-load.ts authority          trusts an authority beside the usual ones
 *   node --import tsx bench/measures/driver-load.ts authority-again    the same, when it is trusted already
 *
 * It prints the milliseconds that it took.
 */

import { selfSignedCertificate } from '../../doubles/workspace/self-signed-certificate.ts'
import { trusting } from '../../src/sinks/databricks/workspace/http.ts'

const { cert } = await selfSignedCertificate()
const [what] = process.argv.slice(2)
if (what === 'authority-again') trusting(cert)
const startedAt = performance.now()
if (what === 'driver') await import('@databricks/sql')
else if (what?.startsWith('authority')) trusting(cert)
console.log(performance.now() - startedAt)
