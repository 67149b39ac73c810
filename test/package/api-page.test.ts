import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { apiPage } from '../../scripts/api-docs.ts'

test('docs/api.md is what the doc comments of the public names say', () => {
  const page = readFileSync(new URL('../../docs/api.md', import.meta.url), 'utf8')
  assert.ok(page === apiPage(), 'docs/api.md is older than the doc comments: run pnpm docs:api')
})
