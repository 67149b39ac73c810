import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { promisify } from 'node:util'
import { temporaryDirectory } from '../support/temporary-directory.ts'

/** A server's key, and the certificate that vouches for itself. */
export interface SelfSigned {
  readonly key: string
  readonly cert: string
  /** Where the certificate lies, for NODE_EXTRA_CA_CERTS. */
  readonly file: string
}

/** Makes a certificate for `IP:…` and `DNS:…` names, with openssl: Node cannot make one. */
export async function selfSigned(t: TestContext, names: readonly string[]): Promise<SelfSigned> {
  const directory = await temporaryDirectory(t)
  const [keyFile, file] = [join(directory, 'key.pem'), join(directory, 'cert.pem')]
  const subject = ['-subj', '/CN=test', '-addext', `subjectAltName=${names.join(',')}`]
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2']
  await promisify(execFile)('openssl', [
    'req',
    '-x509',
    ...curve,
    ...subject,
    '-keyout',
    keyFile,
    '-out',
    file,
  ])
  return { key: await readFile(keyFile, 'utf8'), cert: await readFile(file, 'utf8'), file }
}
