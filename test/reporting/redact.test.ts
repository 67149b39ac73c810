import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { createLogger } from '../../src/reporting/logger.ts'
import { redactSecrets } from '../../src/reporting/redact.ts'

const base64 = fc.string({ unit: fc.constantFrom(...'abcXYZ0189+/'), minLength: 40, maxLength: 60 })

/** Every form in which a secret comes along, around a secret of its alphabet. */
const forms: ((secret: string) => string)[] = [
  (secret) =>
    `DefaultEndpointsProtocol=https;AccountName=a;AccountKey=${secret}==;EndpointSuffix=core.windows.net`,
  (secret) => `BlobEndpoint=https://a.blob.core.windows.net;SharedAccessSignature=sv=2026&sig=${secret}%3D`,
  (secret) => `https://a.blob.core.windows.net/logs?sv=2026-04-06&sp=rl&sig=${encodeURIComponent(secret)}%3D`,
  (secret) => `https://a.blob.core.windows.net/logs?sig=${encodeURIComponent(secret)}&se=2027`,
  (secret) => `sig=${encodeURIComponent(secret)}`,
  (secret) =>
    `https://a.blob.core.windows.net/logs?sp=rl\\u0026sig=${encodeURIComponent(secret)}\\u0026se=2027`,
  (secret) => `sp=rl\\u0026sig\\u003d${secret.replaceAll('+', '\\u002b')}`,
  (secret) => `next=${encodeURIComponent(`https://a/logs?sp=rl&sig=${encodeURIComponent(secret)}&se=2027`)}`,
  (secret) => `next=${encodeURIComponent(encodeURIComponent(`https://a/logs?sig=${secret}`))}`,
  (secret) => `sp=rl&sig%3D${encodeURIComponent(secret)}`,
  (secret) => `Authorization: Bearer ${secret}`,
  (secret) => `Authorization: SharedKey account:${secret}=`,
  (secret) => `Authorization: Basic ${secret}==`,
  (secret) =>
    `https://b.s3.amazonaws.com/k?X-Amz-Expires=900&X-Amz-Signature=${encodeURIComponent(secret)}&x=1`,
  (secret) => `url=${encodeURIComponent(`https://b/k?X-Amz-Security-Token=${encodeURIComponent(secret)}`)}`,
  (secret) => `grant_type=client_credentials&client_secret=${encodeURIComponent(secret)}&scope=all-apis`,
  (secret) => `{"client_secret":"${secret}"}`,
  (secret) => `http://proxy:${encodeURIComponent(secret)}@proxy.example:3128`,
  (secret) => `http://:${encodeURIComponent(secret)}@proxy.example:3128`,
  (secret) => `postgres://user:${secret.replaceAll('/', '_')}@host:5432/db`,
  (secret) => `postgres://user:p@${secret.replaceAll('/', '_')}@host:5432/db`,
  (secret) => `host=h user=u password=${secret} dbname=d`,
  (secret) => `Server=h;User Id=u;Password=${secret};Encrypt=true`,
  (secret) => `host=h password='my ${secret}' dbname=d`,
  (secret) => `PASSWORD = "${secret}"`,
  (secret) => `{"password":"my ${secret}","user":"u"}`,
  (secret) => `{ password: '${secret}', user: 'u' }`,
  (secret) => `postgres://host/db?user=u&password=${encodeURIComponent(secret)}`,
  (secret) => `{"clientSecret":"${secret}"}`,
  (secret) => `authorization: AWS4-HMAC-SHA256 ${secret}`,
  (secret) => `"Authorization":"${secret}"`,
]
/** Each spelling of the secret, and its end alone. */
const spellings = (secret: string): string[] => [
  secret,
  encodeURIComponent(secret),
  encodeURIComponent(encodeURIComponent(secret)),
  secret.replaceAll('/', '_'),
  secret.replaceAll('+', '\\u002b'),
  secret.slice(-16),
]
const around = fc.constantFrom('', ' ', '"', "'", '\n', ' at ')

test('no secret survives, in any form, wherever it stands', () => {
  fc.assert(
    fc.property(base64, fc.constantFrom(...forms), around, around, (secret, form, before, after) => {
      const text = redactSecrets(before + form(secret) + after)
      for (const one of spellings(secret)) assert.ok(!text.includes(one), text)
      assert.match(text, /\*\*\*/)
    }),
    { numRuns: 500 },
  )
})

test('a Databricks token is masked', () => {
  assert.equal(redactSecrets('token dapi0123456789abcdef0123456789abcdef-2!'), 'token ***!')
})

test("a service principal's secret and a JSON Web Token are masked, behind an escape too", () => {
  assert.equal(redactSecrets('secret=dose0123456789abcdef0123456789abcdef;'), 'secret=***;')
  const token = 'eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl-_x'
  for (const before of ['', ' ', '"', '%20', '\\n', '\\u0022', 'token='])
    assert.equal(redactSecrets(`${before}${token} end`), `${before}*** end`)
})

test('the rest of a URL or a connection string stays readable', () => {
  assert.equal(
    redactSecrets('https://a.blob.core.windows.net/logs?sp=rl&sig=abc%3D&se=2027'),
    'https://a.blob.core.windows.net/logs?sp=rl&sig=***&se=2027',
  )
  assert.equal(
    redactSecrets('next=https%3A%2F%2Fa%2Flogs%3Fsp%3Drl%26sig%3Dabc%252B%253D%26se%3D2027'),
    'next=https%3A%2F%2Fa%2Flogs%3Fsp%3Drl%26sig%3D***%26se%3D2027',
  )
  assert.equal(redactSecrets('?sp=rl\\u0026sig=abc%3D\\u0026se=2027'), '?sp=rl\\u0026sig=***\\u0026se=2027')
  assert.equal(redactSecrets('AccountName=a;AccountKey=abc==;X=y'), 'AccountName=a;AccountKey=***;X=y')
})

test('text without secrets is not changed', () => {
  for (const text of [
    'reading logs/a.json at 12:30:05',
    'design=1',
    'design%3D1',
    'user@example.org',
    'Bearer',
    'Basic authentication is off',
    'eyJ is how it begins',
    'posing as a dose of code',
    'https://host:443/a@b',
  ]) {
    assert.equal(redactSecrets(text), text)
  }
})

test('the logger lets no secret out, by whichever field it came in, pretty or not', () => {
  const fields: ((text: string) => Record<string, unknown>)[] = [
    (text) => ({ text }),
    (text) => ({ deep: { list: [text] } }),
    (text) => ({ err: new Error(text) }),
    (text) => ({ err: new Error('outer', { cause: new Error(text) }) }),
    (text) => ({ url: `${text}` }),
  ]
  fc.assert(
    fc.property(
      base64,
      fc.constantFrom(...forms),
      fc.constantFrom(...fields),
      fc.boolean(),
      fc.boolean(),
      (secret, form, field, pretty, inMessage) => {
        const lines: string[] = []
        const logger = createLogger({
          level: 'info',
          pretty,
          output: { write: (line) => void lines.push(line) },
        })
        const text = form(secret)
        if (inMessage) logger.info({ blob: 'a' }, `failed: ${text}`)
        else logger.child({ pipeline: 'primary' }).warn(field(text), 'failed')
        assert.equal(lines.length, 1)
        for (const one of spellings(secret)) assert.ok(!lines[0]?.includes(one), lines[0])
      },
    ),
    { numRuns: 300 },
  )
})

/** Secrets that nothing names, by their form. */
const unnamed: readonly [what: string, secret: string][] = [
  ['an account key', Buffer.alloc(64, 0xab).toString('base64')],
  ['an account key with every mark', Buffer.alloc(64, 0xfb).toString('base64')],
  ['a signature', Buffer.alloc(32, 0xfb).toString('base64')],
  ['a signature of letters', Buffer.alloc(32, 0x69).toString('base64')],
  ['an escaped account key', encodeURIComponent(Buffer.alloc(64, 0xfb).toString('base64'))],
  [
    'a signature that is escaped twice',
    encodeURIComponent(encodeURIComponent(Buffer.alloc(32, 0xef).toString('base64'))),
  ],
  ['a client secret of Entra', 'aB3.8Q~abcdefghijklmnopqrstuvwxyz01234-_.'],
  ['a token of Databricks', `dapi${'0123456789abcdef'.repeat(2)}`],
  ['a bearer token', 'Bearer abcdefghijklmnopqrstuvwxyz0123456789'],
  ['credentials of Basic', 'Basic YWxhZGRpbjpvcGVuc2VzYW1lYWxhZGRpbjpvcGVuc2VzYW1l'],
  ['a signature of a request', 'SharedKey account:abcdefghijklmnopqrstuvwxyz0123456789'],
  ['a JSON Web Token', 'eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl'],
]

test('a secret is known by its form, in whatever field, URL or text it was put', () => {
  const places: ((secret: string) => string)[] = [
    (secret) => secret,
    (secret) => `found "${secret}", expected an account name`,
    (secret) => `getaddrinfo ENOTFOUND ${secret}.blob.core.windows.net`,
    (secret) => `https://${secret}/logs`,
    (secret) => `https://a.blob.core.windows.net/${secret}`,
    (secret) => `{"container":"${secret}"}`,
    (secret) => JSON.stringify({ text: `first line\n${secret}\nlast line` }),
    (secret) => `value%22${secret}%22`,
    (secret) => `(${secret})`,
  ]
  for (const [what, secret] of unnamed) {
    for (const place of places) {
      const text = redactSecrets(place(secret))
      assert.ok(!text.includes(secret.slice(-40, -4)), `${what}: ${text}`)
      assert.match(text, /\*\*\*/)
    }
  }
})

test('every key of a text is masked, and credentials of Basic from 20 characters on', () => {
  assert.equal(redactSecrets('AccountKey=abc==;AccountKey=def=='), 'AccountKey=***;AccountKey=***')
  assert.equal(redactSecrets(`Basic ${'a'.repeat(20)}`), 'Basic ***')
  assert.equal(redactSecrets(`Basic ${'a'.repeat(19)}`), `Basic ${'a'.repeat(19)}`)
})

test('JSON stays JSON, whatever is masked in it', () => {
  const values = fc.oneof(
    fc.constantFrom(
      'password=',
      'AccountKey=a\\',
      'sig="',
      '"password":"',
      "pwd='",
      'Authorization: ',
      'secret\n',
    ),
    fc.string({ unit: fc.constantFrom(...'ab=:"\\\'/{},\n'), maxLength: 8 }),
    base64,
  )
  fc.assert(
    fc.property(fc.array(values, { maxLength: 6 }), fc.array(values, { maxLength: 6 }), (one, other) => {
      const text = JSON.stringify({
        password: one.join(''),
        text: other.join(''),
        list: [...one, ...other],
        url: 1,
      })
      assert.doesNotThrow(() => JSON.parse(redactSecrets(text)), text)
      const nested = JSON.stringify({ text, last: other.join('') })
      assert.doesNotThrow(() => JSON.parse(redactSecrets(nested)), nested)
    }),
    {
      numRuns: 2_000,
      // Backslashes that belong to the character behind them.
      examples: [
        [[], ['password=', '\\']],
        [[], ['Authorization: ', '\n', 'a'.repeat(40)]],
      ],
    },
  )
})

/** A search in quadratic time does not end before the limit, which ends the test in place of the run. */
