import { createRequire } from 'node:module'
import { TailraceError } from './errors.ts'

interface Manifest {
  readonly version: string
  readonly peerDependencies: Readonly<Record<string, string>>
}

// Resolved by the package's name, because its relative path differs between the sources and the compiled modules.
const manifest: Manifest = createRequire(import.meta.url)('tailrace/package.json')

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
    createRequire(import.meta.url).resolve(`${name}/package.json`)
    return true
  } catch (error) {
    // Some packages do not export their manifest; the error says so, and not that there is none.
    return (error as NodeJS.ErrnoException).code !== 'MODULE_NOT_FOUND'
  }
}
