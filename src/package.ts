import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'
import { TailraceError } from './errors.ts'

interface Manifest {
  readonly version: string
  readonly peerDependencies: Readonly<Record<string, string>>
}

const require = createRequire(import.meta.url)

// Found by the package's name, because its relative path differs between the sources and the bundled modules.
const manifestPath = require.resolve('tailrace/package.json')
const manifest: Manifest = require(manifestPath)

/** Whether this process runs the bundled modules, and not the sources by a TypeScript loader, as tests do. */
export const isBundled = import.meta.url.endsWith('.js')

/** @returns the URL of a file of the package, by its path from the package's root */
export function packageFile(path: string): URL {
  return new URL(path, pathToFileURL(manifestPath))
}

/**
 * @param path of a module that is loaded by its URL, below `src/` and without suffix
 * @returns its URL: of the bundled module when this process runs these
 */
export function ownModule(path: string): URL {
  return packageFile(isBundled ? `dist/${path}.js` : `src/${path}.ts`)
}

/** The release of Tailrace. */
export const { version } = manifest

/** Packages that only some configs need. Together they take more room than everything else, so users install them. */
export type OptionalPackage =
  | '@azure/identity'
  | '@azure/monitor-ingestion'
  | '@databricks/sql'
  | 'azurite'
  | `@opentelemetry/${'api' | 'otlp-exporter-base' | 'otlp-transformer' | 'resources' | 'sdk-trace-base'}`

/**
 * Checks that packages are installed, without loading them.
 *
 * @param names one package, or all those that are needed together
 * @param user what needs them, as the beginning of a sentence
 * @throws PACKAGE_MISSING
 */
export function requireInstalled(names: OptionalPackage | readonly OptionalPackage[], user: string): void {
  const needed = typeof names === 'string' ? [names] : names
  const missing = needed.filter((name) => !isInstalled(name))
  if (missing.length === 0) return
  const [what, which] = missing.length === 1 ? ['package', 'is'] : ['packages', 'are']
  const wanted = missing.map((name) => `${name}@${manifest.peerDependencies[name]}`)
  throw new TailraceError(
    'PACKAGE_MISSING',
    `${user} needs the ${what} ${missing.join(', ')}, which ${which} not installed: npm install ${wanted.join(' ')}`,
  )
}

function isInstalled(name: OptionalPackage): boolean {
  try {
    require.resolve(`${name}/package.json`)
    return true
  } catch (error) {
    // Some packages do not export their manifest; the error says so, and not that there is none.
    return (error as NodeJS.ErrnoException).code !== 'MODULE_NOT_FOUND'
  }
}
