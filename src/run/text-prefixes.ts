import type { ResolvedPipeline } from '../config/resolved.ts'
import { latin1AsText } from '../records.ts'
import { sqlString } from '../sinks/encoding/engine.ts'
import { withEngine } from '../sinks/encoding/engine-session.ts'
import type { BlobReader } from '../sources/blob-reader.ts'
import { LineSplitter } from '../streams/line-splitter.ts'
import { entriesOf } from '../streams/record-validator.ts'

/** How much of a blob is read to find the prefixes of its lines. */
const beginningBytes = 64 * 1024

/** Lines with one prefix. */
export interface TextPrefix {
  /** Server that the lines name. */
  readonly serverName: string | undefined
  /** The `log_line_prefix` by which they are read. */
  readonly setting: string
  /** `setting`: one of the table's settings; `form`: put together of the parts whose form is known. */
  readonly by: 'setting' | 'form'
  readonly lines: number
}

/** The prefixes of the text log's lines at the beginning of a blob. */
export interface BlobPrefixes {
  /** The most frequent one first. */
  readonly prefixes: readonly TextPrefix[]
  /** Text lines in all. */
  readonly lines: number
  /** Lines with a part whose meaning is not known, and the offset of the first one. */
  readonly unknown: { readonly lines: number; readonly firstOffset: number } | undefined
}

/**
 * Reads the first 64 KiB of a blob of lines.
 *
 * @returns undefined for a table without text logs, and for a blob without a text log's line
 * @throws the reader's errors
 */
export async function textPrefixes(
  reader: BlobReader,
  blobName: string,
  { projection }: ResolvedPipeline['table'],
): Promise<BlobPrefixes | undefined> {
  if (projection.prefixes === undefined) return undefined
  const read = await reader.read(blobName, { offset: 0, maxBytes: beginningBytes })
  if (read.kind !== 'bytes') return undefined
  const span = {
    blob: `${reader.container}/${blobName}`,
    generation: read.createdAt,
    start: 0,
    end: read.bytes.length,
  }
  const block = new LineSplitter().split({ span, bytes: read.bytes })
  const texts = (block === undefined ? [] : entriesOf(block).entries).flatMap(
    ({ raw, json = raw, reject, offset }) =>
      reject === undefined ? [`(${sqlString(latin1AsText(json))}, ${offset})`] : [],
  )
  if (texts.length === 0) return undefined
  const source = `(SELECT text AS raw, text, NULL::VARCHAR AS reject, NULL::VARCHAR AS note, NULL::BOOLEAN AS is_flat,
    source_offset FROM (VALUES ${texts.join(', ')}) AS texts(text, source_offset))`
  const sql = projection.prefixes(source)
  const rows = await withEngine((engine) => engine.rows(sql))
  return rows.length === 0 ? undefined : summary(rows)
}

function summary(rows: readonly Readonly<Record<string, unknown>>[]): BlobPrefixes {
  const found = new Map<string, TextPrefix>()
  let unknown: BlobPrefixes['unknown']
  for (const row of rows) {
    if (row.has_unknown_prefix === true) {
      const offset = Number(row.source_offset)
      const { lines = 0, firstOffset = offset } = unknown ?? {}
      unknown = { lines: lines + 1, firstOffset: Math.min(firstOffset, offset) }
    } else {
      const by = row.setting === '' ? 'form' : 'setting'
      const setting = by === 'form' ? settingOf(String(row.prefix), String(row.parts)) : String(row.setting)
      const serverName = row.server_name === null ? undefined : String(row.server_name)
      const key = JSON.stringify([serverName, setting, by])
      found.set(key, { serverName, setting, by, lines: (found.get(key)?.lines ?? 0) + 1 })
    }
  }
  return {
    prefixes: withSessionParts([...found.values()]).toSorted((one, other) => other.lines - one.lines),
    lines: rows.length,
    unknown,
  }
}

/** Processes without a session leave out what follows `%q`: their prefix is the beginning of that of the others. */
function withSessionParts(prefixes: readonly TextPrefix[]): readonly TextPrefix[] {
  const isBeginning = (one: TextPrefix, other: TextPrefix): boolean =>
    one.by === 'form' &&
    other.by === 'form' &&
    one.serverName === other.serverName &&
    one.setting !== other.setting &&
    other.setting.startsWith(one.setting)
  return prefixes.flatMap((one) => {
    if (prefixes.some((other) => isBeginning(one, other))) return []
    const beginnings = prefixes.filter((other) => isBeginning(other, one))
    const [longest] = beginnings.toSorted((a, b) => b.setting.length - a.setting.length)
    if (longest === undefined) return [one]
    const { length } = longest.setting
    return [
      {
        ...one,
        setting: `${longest.setting}%q${one.setting.slice(length)}`,
        lines: beginnings.reduce((sum, { lines }) => sum + lines, one.lines),
      },
    ]
  })
}

const escapes: Readonly<Record<string, string>> = {
  session_id: '%c',
  session_start: '%s',
  pid: '%p',
  user_name: '%u',
  db_name: '%d',
  application_name: '%a',
  client_addr: '%h',
  backend_type: '%b',
  command_tag: '%i',
  sqlstate: '%e',
  line_num: '%l',
  query_id: '%Q',
  txid: '%x',
  vxid: '%v',
}

/** Puts a setting together: the text of a prefix, with an escape in place of each value. */
function settingOf(prefix: string, partsJson: string): string {
  const parts = JSON.parse(partsJson) as Readonly<Record<string, string | null>>
  const values: [value: string, escape: string][] = []
  const { time, client_addr: address, client_port: port } = parts
  if (time != null) values.push([time, timeEscape(time)])
  if (address != null && port != null) values.push([`${address}(${port})`, '%r'])
  for (const [field, code] of Object.entries(escapes)) {
    const value = parts[field]
    if (value != null) values.push([value, code])
  }
  const pieces: { readonly text: string; readonly isEscape: boolean }[] = [
    { text: prefix.replaceAll('%', '%%'), isEscape: false },
  ]
  for (const [value, code] of values.toSorted(([one], [other]) => other.length - one.length)) {
    const place = pieces.findIndex(({ text, isEscape }) => !isEscape && placeOf(value, text) >= 0)
    if (place < 0) continue
    const { text } = pieces[place]!
    const at = placeOf(value, text)
    pieces.splice(
      place,
      1,
      { text: text.slice(0, at), isEscape: false },
      { text: code, isEscape: true },
      { text: text.slice(at + value.length), isEscape: false },
    )
  }
  return pieces.map(({ text }) => text).join('')
}

function timeEscape(time: string): string {
  if (/^\d+\.\d+$/.test(time)) return '%n'
  return /\.\d/.test(time) ? '%m' : '%t'
}

/** The place of a value that is no part of a longer word. */
function placeOf(value: string, text: string): number {
  const isWord = (character: string): boolean => /[A-Za-z0-9_]/.test(character)
  for (let at = text.indexOf(value); at >= 0; at = text.indexOf(value, at + 1)) {
    if (!isWord(text.charAt(at - 1)) && !isWord(text.charAt(at + value.length))) return at
  }
  return -1
}
