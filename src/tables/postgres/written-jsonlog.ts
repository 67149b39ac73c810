import { type JsonlogKey, jsonlogKeys } from './shapes/jsonlog.ts'

// Native code of a regular expression walks over a line once. All that it shows would take the engine three times as long.

const character = String.raw`[^"\\\x00-\x1f]`

/** A text that is not NULL in its column, as the empty one and the server's placeholder are. */
function textForm(exceptions: readonly string[] = []): string {
  const excluded = ['', String.raw`\[unknown\]`, ...exceptions].map((text) => `${text}"`).join('|')
  return `"(?!${excluded})${character}*(?:${String.raw`\\["\\bfnrt]`}${character}*)*"`
}

const numberForm = '(?:0|-?[1-9][0-9]*)'

/** A time of day in full, with any name of a zone. */
function timeForm(fraction: string): string {
  const date = '[0-9]{4}-(?:0[1-9]|1[0-2])-[0-3][0-9]'
  return `"${date} (?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]${fraction} ${character}+"`
}

function valueForm({ key, type }: JsonlogKey): string {
  if (type === 'number') return numberForm
  if (key === 'timestamp') return timeForm(String.raw`\.[0-9]{3}`)
  if (key === 'session_start') return timeForm('')
  // The server omits the code of success.
  return textForm(key === 'state_code' ? ['00000'] : [])
}

/**
 * Regular expression of jsonlog as PostgreSQL 15 to 18 write it, one character per byte: the keys in the server's order with
 * values of their types and nothing between them. See `Projection.writtenForm`.
 */
export const writtenForm = new RegExp(
  `^\\{${jsonlogKeys
    .map((one, index) => {
      const member = `${index === 0 ? '' : ','}"${one.key}":${valueForm(one)}`
      return one.presence === 'always' ? member : `(?:${member})?`
    })
    .join('')}\\}$`,
)
