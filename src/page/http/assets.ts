import { readdir, readFile } from 'node:fs/promises'
import { extname, join, sep } from 'node:path'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'

/** A file of the built page. */
export interface Asset {
  readonly type: string
  readonly bytes: Uint8Array<ArrayBuffer>
  readonly gzipped: Uint8Array<ArrayBuffer>
  /** Its name has a hash of its content, so that it never changes. */
  readonly isImmutable: boolean
}

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.woff2': 'font/woff2',
  '.txt': 'text/plain; charset=utf-8',
}

const compress = promisify(gzip)

/**
 * Reads the files of the built page, which are few and small. Other files, such as compiled modules beside them, are not
 * served.
 *
 * @returns by path of the URL, `/` for `index.html`; empty when the page has not been built
 */
export async function readAssets(directory: string): Promise<ReadonlyMap<string, Asset>> {
  const assets = new Map<string, Asset>()
  const index = await readFile(join(directory, 'index.html')).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
  if (index === undefined) return assets
  const names = await readdir(directory, { recursive: true })
  for (const name of names) {
    const type = types[extname(name)]
    const path = `/${name.split(sep).join('/')}`
    const isNamed = path === '/index.html' || index.includes(path.slice(1))
    if (type === undefined || !isNamed) continue
    const bytes = new Uint8Array(await readFile(join(directory, name)))
    const asset = {
      type,
      bytes,
      gzipped: new Uint8Array(await compress(bytes)),
      isImmutable: /[-.][0-9A-Za-z_]{8,}\.\w+$/.test(name),
    }
    assets.set(path === '/index.html' ? '/' : path, asset)
  }
  return assets
}
