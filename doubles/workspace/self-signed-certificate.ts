import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

/** A server's key, and the certificate for the loopback that vouches for itself. */
export interface SelfSignedCertificate {
  readonly key: string
  readonly cert: string
}

let made: Promise<SelfSignedCertificate> | undefined

/** One certificate for all servers of this process, made with openssl: Node cannot make one. */
export function selfSignedCertificate(): Promise<SelfSignedCertificate> {
  made ??= make()
  return made
}

async function make(): Promise<SelfSignedCertificate> {
  const directory = await mkdtemp(join(tmpdir(), 'tailrace-certificate-'))
  try {
    const [keyFile, certFile] = [join(directory, 'key.pem'), join(directory, 'cert.pem')]
    const names = ['-subj', '/CN=test', '-addext', 'subjectAltName=IP:127.0.0.1,DNS:localhost']
    const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2']
    const files = ['-keyout', keyFile, '-out', certFile]
    await promisify(execFile)('openssl', ['req', '-x509', ...curve, ...names, ...files])
    return { key: await readFile(keyFile, 'utf8'), cert: await readFile(certFile, 'utf8') }
  } finally {
    await rm(directory, { recursive: true })
  }
}
