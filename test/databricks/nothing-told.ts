import assert from 'node:assert/strict'
import type { Workspace } from '../../doubles/workspace/workspace.ts'

/** What a log must not hold, and what it would be. The texts of records are those of the line generator. */
const forbidden: readonly (readonly [RegExp, string])[] = [
  [/[?&]sig=(?!\*\*\*)/, 'the signature of a URL'],
  [/\/staging\/[0-9a-f]{8}-/, 'a presigned URL'],
  [/Bearer (?!\*\*\*)/, 'a bearer token'],
  [
    /(?:INTO|FROM|TABLE|USING) [`(']|FILEFORMAT|WHERE |information_schema|(?:PUT|REMOVE|LIST) '/,
    'the text of a statement',
  ],
  [/storefront|6b05544b|größer|checkpoint complete|authorized|serialize access/, 'the content of a record'],
]

/** Asserts that a log tells no secret, no statement and no record. */
export function assertNothingTold(log: string, { tokens }: Pick<Workspace, 'tokens'>): void {
  for (const secret of [tokens.personal, tokens.clientSecret]) {
    assert.ok(!log.includes(secret), 'a token is told')
  }
  for (const [pattern, what] of forbidden) {
    const found = pattern.exec(log)
    if (found !== null)
      assert.fail(`${what} is told: ${log.slice(Math.max(0, found.index - 300), found.index + 200)}`)
  }
}
