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
export type OptionalPackage = '@azure/identity' | '@databricks/sql' | 'azurite'

/**
 * Checks that a package is installed, without loading it.
 *
 * @param user what needs it, as the beginning of a sentence
 * @throws PACKAGE_MISSING
 */
export function requireInstalled(name: OptionalPackage, user: string): void {
  try {
    createRequire(import.meta.url).resolve(`${name}/package.json`)
  } catch (error) {
    throw new TailraceError(
      'PACKAGE_MISSING',
      `${user} needs the package ${name}, which is not installed: npm install ${name}@${manifest.peerDependencies[name]}`,
      { cause: error },
    )
  }
}
