import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { createLogger } from '../src/logger.ts'
import { redactSecrets } from '../src/redact.ts'

const base64 = fc.string({ unit: fc.constantFrom(...'abcXYZ0189+/'), minLength: 40, maxLength: 60 })

/** Every form in which a secret comes along, around a secret of its alphabet. */
const forms: ((secret: string) => string)[] = [
  (secret) =>
    `DefaultEndpointsProtocol=https;AccountName=a;AccountKey=${secret}==;EndpointSuffix=core.windows.net`,
  (secret) => `BlobEndpoint=https://a.blob.core.windows.net;SharedAccessSignature=sv=2026&sig=${secret}%3D`,
  (secret) => `https://a.blob.core.windows.net/logs?sv=2026-04-06&sp=rl&sig=${encodeURIComponent(secret)}%3D`,
  (secret) => `https://a.blob.core.windows.net/logs?sig=${encodeURIComponent(secret)}&se=2027`,
  (secret) => `sig=${encodeURIComponent(secret)}`,
  (secret) => `Authorization: Bearer ${secret}`,
  (secret) => `Authorization: SharedKey account:${secret}=`,
  (secret) => `postgres://user:${secret.replaceAll('/', '_')}@host:5432/db`,
]
const around = fc.constantFrom('', ' ', '"', "'", '\n', ' at ')

test('no secret survives, in any form, wherever it stands', () => {
  fc.assert(
    fc.property(base64, fc.constantFrom(...forms), around, around, (secret, form, before, after) => {
      const text = redactSecrets(before + form(secret) + after)
      for (const one of [secret, encodeURIComponent(secret), secret.replaceAll('/', '_')])
        assert.ok(!text.includes(one), text)
      assert.match(text, /\*\*\*/)
    }),
    { numRuns: 500 },
  )
})

test('a Databricks token is masked', () => {
  assert.equal(redactSecrets('token dapi0123456789abcdef0123456789abcdef-2!'), 'token ***!')
})

test('the rest of a URL or a connection string stays readable', () => {
  assert.equal(
    redactSecrets('https://a.blob.core.windows.net/logs?sp=rl&sig=abc%3D&se=2027'),
    'https://a.blob.core.windows.net/logs?sp=rl&sig=***&se=2027',
  )
  assert.equal(redactSecrets('AccountName=a;AccountKey=abc==;X=y'), 'AccountName=a;AccountKey=***;X=y')
})

test('text without secrets is not changed', () => {
  for (const text of [
    'reading logs/a.json at 12:30:05',
    'design=1',
    'user@example.org',
    'Bearer',
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
        for (const one of [secret, encodeURIComponent(secret), secret.replaceAll('/', '_')])
          assert.ok(!lines[0]?.includes(one), lines[0])
      },
    ),
    { numRuns: 300 },
  )
})
