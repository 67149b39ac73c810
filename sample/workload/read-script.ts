import { readFile } from 'node:fs/promises'

/** Reads one of the scripts of this folder, by its name without `.sql`. */
export function readScript(name: string): Promise<string> {
  return readFile(new URL(`./${name}.sql`, import.meta.url), 'utf8')
}
