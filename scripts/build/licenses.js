import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/**
 * The licenses of the packages in a bundle, which ask to be passed on with it.
 *
 * @param {string} root the directory that the paths are relative to
 * @param {readonly string[]} inputs paths of the modules in the bundle
 * @returns {string} name, version and license of each package, by name
 */
export function licensesOf(root, inputs) {
  const folders = new Set(inputs.flatMap((path) => path.match(/^.*node_modules\/(?:@[^/]+\/)?[^/]+/) ?? []))
  return [...folders]
    .map((folder) => {
      const { name, version, license } = JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8'))
      const file = readdirSync(join(root, folder)).find((one) => /^licen[cs]e/i.test(one))
      if (file === undefined && license === undefined) throw new Error(`${name} names no license`)
      // Some packages only name it.
      const text = file === undefined ? license : readFileSync(join(root, folder, file), 'utf8').trim()
      return `${name} ${version}\n\n${text}\n`
    })
    .sort()
    .join(`\n${'-'.repeat(80)}\n\n`)
}
