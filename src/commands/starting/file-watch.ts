import { statSync } from 'node:fs'
import type { Clock } from '../../clock.ts'

const pollMs = 1_000

/**
 * Watches files for changes. It compares their properties once a second, because events of the file system miss the links
 * by which Kubernetes replaces mounted files, and those of network volumes.
 */
export class FileWatch {
  readonly #files: () => readonly string[]
  readonly #clock: Clock
  readonly #onChange: (file: string) => void
  #known = new Map<string, string>()
  #cancel: () => void = () => {}

  /**
   * @param files called for each comparison; a file that is new among them counts from then on
   * @param onChange called with one of the files that have changed
   */
  constructor(files: () => readonly string[], clock: Clock, onChange: (file: string) => void) {
    this.#files = files
    this.#clock = clock
    this.#onChange = onChange
    this.#known = this.#states()
    this.#wait()
  }

  close(): void {
    this.#cancel()
  }

  #wait(): void {
    this.#cancel = this.#clock.after(pollMs, () => {
      const states = this.#states()
      const changed = [...states].find(([file, state]) => (this.#known.get(file) ?? state) !== state)
      this.#known = states
      if (changed !== undefined) this.#onChange(changed[0])
      this.#wait()
    })
  }

  #states(): Map<string, string> {
    return new Map(this.#files().map((file) => [file, stateOf(file)]))
  }
}

function stateOf(file: string): string {
  const stats = statSync(file, { throwIfNoEntry: false })
  return stats === undefined ? 'missing' : [stats.ino, stats.size, stats.mtimeMs].join(' ')
}
