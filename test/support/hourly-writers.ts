/**
 * Fifty servers that write their logs at once, hour after hour: `hourly-writers.ts CONNECTION_STRING OFFSET_FILE SEED`.
 *
 * At the turn of an hour some go on with the old blob for a while. Now and then a blob is deleted, created anew or
 * overwritten, but only once everything in it has landed, as the offset file tells. At the end it prints every line that
 * it has written.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { AppendBlobClient, ContainerClient } from '@azure/storage-blob'
import { type Random, seededRandom } from '../../doubles/seeded-random.ts'
import { accountClient } from './account-client.ts'
import { mirroredOffset } from './landed-once.ts'
import { jsonlogLine } from './log-lines.ts'
import { containerName } from './storage.ts'

const writerCount = 50
const hourCount = 3
const appendsPerHour = 5

class Writer {
  readonly lines: string[] = []
  #name: string
  #container: ContainerClient
  #offsetPath: string
  #random: Random
  #blob: { readonly name: string; readonly client: AppendBlobClient; bytes: number } | undefined

  constructor(name: string, container: ContainerClient, offsetPath: string, random: Random) {
    this.#name = name
    this.#container = container
    this.#offsetPath = offsetPath
    this.#random = random
  }

  async run(): Promise<void> {
    for (let hour = 0; hour < hourCount; hour += 1) {
      const previous = this.#blob
      await this.#open(`h=${String(hour).padStart(2, '0')}/${this.#name}.json`)
      for (let append = 0; append < appendsPerHour; append += 1) {
        // Late records still go to the hour before.
        if (previous !== undefined && append < 2 && this.#random.next() < 0.5) await this.#append(previous)
        await this.#append(this.#blob!)
        await delay(this.#random.between(0, 100))
      }
      if (this.#random.next() < 0.3) await this.#disturb(this.#blob!)
    }
  }

  async #open(name: string): Promise<void> {
    const client = this.#container.getAppendBlobClient(`servers/${name}`)
    await client.create()
    this.#blob = { name: `servers/${name}`, client, bytes: 0 }
  }

  async #append(blob: { readonly client: AppendBlobClient; bytes: number }): Promise<void> {
    const lines = Array.from({ length: this.#random.between(1, 6) }, () => this.#line())
    const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(''))
    await blob.client.appendBlock(bytes, bytes.length)
    blob.bytes += bytes.length
    this.lines.push(...lines)
  }

  /** Nothing while there is no offset file yet. */
  async #landedBytes(name: string): Promise<number | undefined> {
    return mirroredOffset(this.#offsetPath, name).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined
      throw error
    })
  }

  /** The next line: no two lines of any writer are alike. */
  #line(): string {
    return jsonlogLine(this.lines.length, `${this.#name} ${this.lines.length}`)
  }

  async #disturb(blob: {
    readonly name: string
    readonly client: AppendBlobClient
    bytes: number
  }): Promise<void> {
    while ((await this.#landedBytes(blob.name)) !== blob.bytes) await delay(50)
    const kind = this.#random.between(0, 2)
    if (kind < 2) await blob.client.delete()
    if (kind === 0) {
      this.#blob = undefined
      return
    }
    await blob.client.create()
    blob.bytes = 0
    await this.#append(blob)
    await this.#append(blob)
  }
}

async function main(connectionString: string, offsetPath: string, seed: number): Promise<void> {
  const container = accountClient(connectionString).getContainerClient(containerName)
  const writers = Array.from({ length: writerCount }, (_, index) => {
    const random = seededRandom(seed * 1_000 + index)
    return new Writer(`server-${index}`, container, offsetPath, random)
  })
  await Promise.all(writers.map((writer) => writer.run()))
  process.stdout.write(`${JSON.stringify(writers.flatMap(({ lines }) => lines))}\n`)
}

const [connectionString, offsetPath, seed] = process.argv.slice(2)
await main(connectionString!, offsetPath!, Number(seed))
