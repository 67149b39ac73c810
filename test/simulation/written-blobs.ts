import { constants, gunzipSync, gzipSync, inflateRawSync } from 'node:zlib'
import type { Random } from '../../doubles/seeded-random.ts'
import type { BlobService } from '../support/blob-service/blob-service.ts'
import type { WorldEvent } from '../support/blob-service/fault-plan.ts'
import type { Inflated } from './inflate-in-place.ts'
import type { BlobKind, BlobPlan } from './plan.ts'

export const container = 'logs'

/** How far a blob's overwritten content is sure to be recognized as another one, whatever process starts next. */
export interface Recognizable {
  /** Its creation instant may be kept by an overwrite. */
  readonly overwrite: boolean
  /** It may be cut to at most so many bytes under the same creation instant. */
  readonly truncateTo: number
}

/** One blob and its writer. Every record of every content is different. */
export class WrittenBlob {
  readonly plan: BlobPlan
  readonly name: string
  readonly #service: BlobService
  readonly #random: Random
  #records = 0
  /** The rest of a member or of lines that were written in part. */
  #unwritten: Buffer = Buffer.alloc(0)

  constructor(plan: BlobPlan, service: BlobService, random: Random) {
    this.plan = plan
    this.name = `p/${plan.id}.${extensions[plan.kind]}`
    this.#service = service
    this.#random = random
  }

  get exists(): boolean {
    return this.#service.find(container, this.name) !== undefined
  }

  get content(): Buffer {
    return this.#service.find(container, this.name)?.content ?? Buffer.alloc(0)
  }

  /** When the blob that is there was created; 0 when there is none. */
  get createdAtMs(): number {
    return this.#service.find(container, this.name)?.createdAtMs ?? 0
  }

  /** @returns what happened; undefined when there was nothing for the event to happen to */
  happen(event: WorldEvent, recognizable: Recognizable): string | undefined {
    if (event === 'append' || event === 'append-in-answer') return this.#append()
    if (!this.exists) return undefined
    const service = this.#service
    const place = [container, this.name] as const
    switch (event) {
      case 'touch':
        service.touch(...place)
        return 'touch'
      case 'remove':
        this.#unwritten = Buffer.alloc(0)
        service.remove(...place)
        return 'remove'
      case 'truncate': {
        if (this.plan.kind !== 'lines' || recognizable.truncateTo === 0) return undefined
        if (this.content.length === 0) return undefined
        this.#unwritten = Buffer.alloc(0)
        const bytes = this.#random.between(0, Math.min(recognizable.truncateTo, this.content.length - 1))
        service.truncate(...place, bytes)
        return `truncate to ${bytes}`
      }
      case 'overwrite':
        service.overwrite(...place, this.#fresh(), recognizable.overwrite ? 'kept' : 'renewed')
        return `overwrite with ${this.content.length}, creation time ${recognizable.overwrite ? 'kept' : 'renewed'}`
      case 'recreate':
        service.recreate(...place, this.#fresh())
        return `recreate with ${this.content.length}`
    }
  }

  /** Completes what was written in part. */
  finish(): void {
    if (this.#unwritten.length > 0 && this.exists) {
      this.#service.append(container, this.name, this.#unwritten)
      this.#unwritten = Buffer.alloc(0)
    }
  }

  #append(): string {
    if (!this.exists) {
      this.#service.create(
        container,
        this.name,
        this.#fresh(),
        this.plan.kind === 'lines' ? 'append' : 'block',
      )
      return `create with ${this.content.length}`
    }
    const before = this.content.length
    if (this.plan.kind === 'documents') this.#grow()
    else this.#service.append(container, this.name, this.#more(this.#isInsideLine ? '~' : ''))
    return `append ${this.content.length - before} to ${this.content.length}`
  }

  get #isInsideLine(): boolean {
    return this.content.length > 0 && this.content.at(-1) !== 0x0a
  }

  /** Another content, maybe none yet. */
  #fresh(): Buffer {
    this.#unwritten = Buffer.alloc(0)
    if (this.plan.kind === 'documents') return document(this.#someRecords())
    return this.#random.next() < 0.2 ? Buffer.alloc(0) : this.#more('')
  }

  /** Elements before the closing bracket, or another document behind the last one. */
  #grow(): void {
    const { content } = this
    const more = this.#someRecords()
    const grown =
      content.length === 0 || this.#random.next() < 0.3
        ? Buffer.concat([content, document(more)])
        : Buffer.concat([content.subarray(0, -closing.length), Buffer.from(`,${more.join(',')}${closing}`)])
    this.#service.overwrite(container, this.name, grown, 'kept')
  }

  /** What comes next, whole or in part; the rest of it comes with the next append. */
  #more(mark: '' | '~'): Buffer {
    const next = this.#unwritten.length > 0 ? this.#unwritten : this.#nextBytes(mark)
    const bytes = this.#random.next() < 0.4 ? this.#random.between(1, next.length) : next.length
    this.#unwritten = next.subarray(bytes)
    return next.subarray(0, bytes)
  }

  /**
   * A gzip member, or some lines, of which some are no records and some are blank.
   *
   * @param mark ends a line that was cut short, which must not become two records
   */
  #nextBytes(mark: '' | '~'): Buffer {
    const lines = this.#someRecords().map((record) => `${record}\n`)
    if (this.plan.kind === 'gzip') return gzipSync(lines.join(''))
    const mixed = lines.map((line) => {
      const chance = this.#random.next()
      return chance < 0.05 ? '\n' : chance < 0.1 ? `LOG: ${line}` : line
    })
    return Buffer.from(`${mark}${mixed.join('')}`)
  }

  #someRecords(): string[] {
    return Array.from({ length: this.#random.between(1, this.#random.next() < 0.2 ? 25 : 4) }, () =>
      this.#record(),
    )
  }

  #record(): string {
    this.#records += 1
    const filler = Array.from({ length: this.#random.between(0, 12) }, () =>
      this.#random.between(10, 99),
    ).join('')
    return `{"message":"${filler} ${this.plan.id} record ${this.#records}"}`
  }
}

const extensions: Readonly<Record<BlobKind, string>> = { lines: 'ndjson', documents: 'json', gzip: 'json.gz' }

const opening = '{"records":['
const closing = ']}\n'

function document(records: readonly string[]): Buffer {
  return Buffer.from(`${opening}${records.join(',')}${closing}`)
}

/** A record of a blob's content, and of lines and gzip members its place. */
export interface ExpectedRow {
  readonly raw: string
  readonly place: string
}

/** What a content is to become, by a reading of its own. */
export function expectedRows(kind: BlobKind, content: Buffer): readonly ExpectedRow[] {
  if (kind === 'lines')
    return linesIn(content).map(({ raw, start, bytes }) => ({ raw, place: `${start}+${bytes}` }))
  if (kind === 'documents')
    // A document's records are units as they came, which its content does not show.
    return linesIn(content).flatMap(({ raw }) => recordsIn(raw).map((record) => ({ raw: record, place: '' })))
  return membersIn(content).flatMap(({ start, bytes, lines }) =>
    lines.map((raw, index) => ({ raw, place: `${start}+${bytes}#${index}` })),
  )
}

/** @returns where the last complete line, document or member of a content ends */
export function completeBytes(kind: BlobKind, content: Buffer): number {
  if (kind !== 'gzip') return content.lastIndexOf(0x0a) + 1
  const last = membersIn(content).at(-1)
  return last === undefined ? 0 : last.start + last.bytes
}

function linesIn(content: Buffer) {
  const lines: { raw: string; start: number; bytes: number }[] = []
  for (let start = 0; ; ) {
    const end = content.indexOf(0x0a, start) + 1
    if (end === 0) return lines
    const raw = content.toString('latin1', start, end - 1)
    if (raw !== '') lines.push({ raw, start, bytes: end - start })
    start = end
  }
}

function recordsIn(text: string): string[] {
  const { records } = JSON.parse(text) as { records: unknown[] }
  return records.map((record) => JSON.stringify(record))
}

function membersIn(content: Buffer) {
  const members: { start: number; bytes: number; lines: readonly string[] }[] = []
  for (let start = 0; start < content.length; ) {
    try {
      const dataStart = start + headerBytes
      const options = { finishFlush: constants.Z_SYNC_FLUSH, info: true }
      const { engine } = inflateRawSync(content.subarray(dataStart), options) as unknown as Inflated
      const end = dataStart + engine.bytesWritten + trailerBytes
      const text = gunzipSync(content.subarray(start, end)).toString('latin1')
      members.push({ start, bytes: end - start, lines: text.split('\n').slice(0, -1) })
      start = end
    } catch {
      // The last one is not complete yet.
      return members
    }
  }
  return members
}

/** Of a member as Node writes it, by RFC 1952. */
const headerBytes = 10
const trailerBytes = 8
