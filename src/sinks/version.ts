import { createRequire } from 'node:module'

interface Manifest {
  readonly version: string
  readonly peerDependencies: Readonly<Record<string, string>>
}

// By its own name: the path from here differs between the sources and what is compiled from them.
const manifest: Manifest = createRequire(import.meta.url)('tailrace/package.json')

/** The release of Tailrace, and the releases of other packages that it works with. */
export const { version, peerDependencies: supportedPackages } = manifest
