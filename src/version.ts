import { createRequire } from 'node:module'

// By its own name: the path from here differs between the sources and what is compiled from them.
const manifest: { readonly version: string } = createRequire(import.meta.url)('tailrace/package.json')

/** The release of Tailrace. */
export const { version } = manifest
