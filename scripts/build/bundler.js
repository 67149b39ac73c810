import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)

/** @returns {typeof import('esbuild')} the bundler, which a clone without development dependencies has through tsx */
export function findBundler() {
  try {
    return require('esbuild')
  } catch {
    return createRequire(require.resolve('tsx/package.json'))('esbuild')
  }
}
