import type { Random } from '../../doubles/seeded-random.ts'

/** A statement and a bare value, every literal of which holds a mark. */
export interface Marked {
  readonly sql: string
  readonly value: string
  /** A value without quotes, blanks and signs. */
  readonly word: string
}

/** What no column may hold: the marks in strings, comments and numbers, however an encoding spells them. */
export const anyMark = /mark\d|86753/i

const literals: readonly ((mark: string, number: string) => string)[] = [
  (mark) => `'${mark}'`,
  (mark) => `'it''s ${mark}'`,
  (mark) => `'C:\\${mark}\\'`,
  (mark) => `E'it\\'s ${mark}\\\\'`,
  (mark) => `U&'\\0061${mark}'`,
  (mark) => `B'101' || X'AF' || N'${mark}'`,
  (mark) => `$$${mark} it's$$`,
  (mark) => `$fn$ BEGIN RETURN '${mark}' || $$x "${mark}"$$; END $fn$`,
  (mark) => `$été$${mark}$été$`,
  (mark) => `'one\ntwo ${mark}'`,
  (mark) => `'"${mark}": [1, {"a": "${mark}"}]'::jsonb`,
  (mark) => `'Plan: ${mark} <b>${mark}</b> &lt;'`,
  (mark) => `ARRAY['${mark}', 'b']::text[]`,
  (mark) => `interval '${mark}'`,
  (mark) => `/* it's /* nested */ ${mark} */ 'a'`,
  (mark) => `-- don't ${mark}\n 'b'`,
  (_, number) => number,
  (_, number) => `-${number}.25`,
  (_, number) => `.${number}`,
  (_, number) => `1e${number}`,
  (_, number) => `0x${number}AF`,
  (_, number) => `${number}::numeric(12, 2)`,
  (_, number) => `${number}e-3`,
]

/** A statement of one to four marked literals, and values with marks of their own. */
export function markedBy(random: Random): Marked {
  const literal = (): string =>
    pick(random, literals)(`mark${random.between(0, 1e6)}`, `86753${random.between(0, 9999)}`)
  const sql = pick(random, [
    () => `INSERT INTO t (a, "B c") VALUES (${literal()}, ${literal()})`,
    () => `SELECT a, "it's" FROM t1 WHERE a = ${literal()} AND t1.b > $1\n  LIMIT ${literal()}`,
    () => `update "T" set a = ${literal()} where id = $1 and c<>${literal()}`,
    () => `ALTER ROLE app PASSWORD 'mark1'`,
    () => `WITH x AS (SELECT ${literal()}) SELECT * FROM x, y WHERE y.z IN (${literal()}, ${literal()})`,
    () => `CREATE FUNCTION f() RETURNS text LANGUAGE plpgsql AS $body$ BEGIN RETURN 'mark1'; END $body$`,
    () => `select f(${literal()}), ${literal()}`,
  ])()
  const word = `mark${random.between(0, 1e6)}`
  const value = pick(random, [
    word,
    `${word}@example.com`,
    `it's ${word}`,
    `a "${word}" (b)`,
    `one\ntwo, ${word}`,
  ])
  return { sql, value, word }
}

export function pick<T>(random: Random, from: readonly T[]): T {
  return from[random.between(0, from.length - 1)] as T
}

/** A message of the server's and the texts beside it. */
export interface MarkedMessage {
  readonly message: string
  readonly detail?: string
  readonly context?: string
  readonly statement?: string
  readonly sqlstate?: string
}

export const csv = (text: string): string =>
  /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
export const quoted = (text: string): string => `'${text.replaceAll("'", "''")}'`
const xml = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')

/** Every way in which a message holds a statement, a parameter or a value. */
export const messages: readonly ((marked: Marked) => MarkedMessage)[] = [
  ({ sql }) => ({ message: `statement: ${sql}` }),
  ({ sql }) => ({ message: `duration: 12.345 ms  statement: ${sql}` }),
  ({ sql, value }) => ({
    message: `duration: 12.345 ms  execute S_1/C_2: ${sql}`,
    detail: `Parameters: $1 = ${quoted(value)}, $2 = NULL, $3 = '86753001'`,
  }),
  ({ sql, value }) => ({
    message: `execute <unnamed>: ${sql}`,
    detail: `parameters: $1 = ${quoted(value)}`.slice(0, -1),
  }),
  ({ sql }) => ({ message: `duration: 0.1 ms  parse <unnamed>: ${sql}` }),
  ({ sql }) => ({ message: `bind s1: ${sql}`, detail: `prepare: PREPARE s1 AS ${sql}` }),
  ({ sql }) => ({ message: `Dauer: 12,3 ms  Anweisung: ${sql}` }),
  ({ sql, value }) => ({
    message: 'duplicate key value violates unique constraint "t_pkey"',
    detail: `Key (email, lower(b))=(${value}, 86753001) already exists.`,
    statement: sql,
    sqlstate: '23505',
  }),
  ({ sql, value }) => ({
    message: 'doppelter Schlüsselwert verletzt Unique-Constraint »t_pkey«',
    detail: `Schlüssel »(email)=(${value})« existiert bereits.`,
    statement: sql,
    sqlstate: '23505',
  }),
  ({ sql, value }) => ({
    message: 'new row for relation "t" violates check constraint "c"',
    detail: `Failing row contains (86753001, ${value}, null).`,
    statement: sql,
    sqlstate: '23514',
  }),
  ({ value }) => ({
    message: 'NULL-Wert in Spalte »a« verletzt Not-Null-Constraint',
    detail: `Fehlgeschlagene Zeile enthält (86753001, ${value}, null).`,
    sqlstate: '23502',
  }),
  ({ value }) => ({ message: 'conflicting key', detail: `Key (email)=(${value}` }),
  ({ sql, value }) => ({
    message: `invalid input syntax for type integer: "${value}"`,
    context: `unnamed portal parameter $1 = ${quoted(value)}`,
    statement: sql,
    sqlstate: '22P02',
  }),
  ({ value }) => ({
    message: `ungültige Eingabesyntax für Typ integer: »${value}«`,
    context: `COPY leute, Zeile 3, Spalte email: »${value}«`,
    sqlstate: '22P02',
  }),
  ({ value }) => ({
    message: `value "${value}" is out of range for type integer`,
    context: `COPY people, line 3, column email: "${value}"`,
    sqlstate: '22003',
  }),
  ({ word }) => ({
    message: 'invalid input syntax for type json',
    detail: `Token "${word}" is invalid.`,
    context: `JSON data, line 1: {"a": ${word}...`,
    sqlstate: '22P02',
  }),
  ({ word }) => ({
    message: `extra data after last expected column`,
    context: `COPY people, line 3: "1\t${word}\t86753001"`,
  }),
  () => ({
    message: '86753001 kB is outside the valid range for parameter "work_mem" (64 kB .. 2147483647 kB)',
  }),
  ({ word }) => ({ message: `"${word}" is out of range for type double precision` }),
  ({ word }) => ({ message: `time zone "${word}" not recognized` }),
  ({ value }) => ({
    message: 'conflict detected on relation "public.t": conflict=update_missing',
    detail: `Could not find the row to be updated.\nRemote row (86753001, ${value}); replica identity (a)=(${value}).`,
  }),
  ({ sql }) => ({
    message: 'deadlock detected',
    detail: `Process 18 waits for ShareLock on transaction 7; blocked by process 19.\nProcess 18: ${sql}\nProcess 19: ${sql}`,
    context: `SQL statement "${sql}"\nPL/pgSQL function f(text) line 3 at SQL statement\nSQL statement "${sql}"`,
    statement: sql,
    sqlstate: '40P01',
  }),
  ({ word }) => ({
    message: `syntax error at or near "${word}"`,
    statement: `select 'it's ${word}', 'b'`,
    sqlstate: '42601',
  }),
  ({ sql, value }) => ({
    message: `AUDIT: SESSION,12,1,WRITE,INSERT,TABLE,"public.""t""",${csv(sql)},${csv(value)},5`,
  }),
  ({ sql }) => ({ message: `AUDIT: OBJECT,1,1,READ,SELECT,,,"${sql.replaceAll('"', '""')}` }),
  ({ sql, value }) => ({
    message: `duration: 1234.567 ms  plan:\nQuery Text: ${sql}\nQuery Parameters: $1 = ${quoted(value)}\nIndex Scan using i on t  (cost=0.29..8.31 rows=1 width=4) (actual time=0.01..0.02 rows=1 loops=1)\n  Index Cond: (a = ${quoted(value)}::text)\n  Filter: (b > 86753001)\n  Rows Removed by Filter: 12\n  Buffers: shared hit=4`,
  }),
  ({ sql, value }) => ({
    message: `duration: 1234.567 ms  plan:\n${JSON.stringify({ 'Query Text': sql, 'Query Parameters': `$1 = ${quoted(value)}`, Plan: { 'Node Type': 'Seq Scan', Alias: "it's", 'Total Cost': 8.27, Filter: `(a = ${quoted(value)}::text)`, Output: ['a', '86753001'], Plans: [{ 'Hash Cond': `(x = ${quoted(value)})` }] } }, null, 2)}`,
  }),
  ({ sql, value }) => ({
    message: `duration: 1234.567 ms  plan:\n<explain xmlns="http://www.postgresql.org/2009/explain">\n  <Query-Text>${xml(sql)}</Query-Text>\n  <Plan>\n    <Node-Type>Seq Scan</Node-Type>\n    <Total-Cost>8.27</Total-Cost>\n    <Filter>(a = ${xml(quoted(value))}::text)</Filter>\n    <Output>\n      <Item>86753001</Item>\n    </Output>\n  </Plan>\n</explain>`,
  }),
  ({ sql, value }) => ({
    message: `duration: 1234.567 ms  plan:\nQuery Text: ${JSON.stringify(sql)}\nPlan: \n  Node Type: "Seq Scan"\n  Total Cost: 8.27\n  Filter: ${JSON.stringify(`(a = ${quoted(value)}::text)`)}\n  Output: \n    - "a"\n    - "86753001"`,
  }),
]
