import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { projectRoot } from '../support/tailrace-process.ts'

test('docs/databricks-faults.md names a test for each of its faults, and each of these tests is there', () => {
  const page = readFileSync(join(projectRoot, 'docs', 'databricks-faults.md'), 'utf8')
  const [faults = '', tests = ''] = page.split('\n## Tests\n')
  const numbers = (text: string): string[] =>
    [...text.matchAll(/^\| (\d+) +\|/gm)].map(([, number]) => number!)
  assert.ok(numbers(faults).length >= 12)
  assert.deepEqual([...new Set(numbers(tests))], numbers(faults))
  for (const [, file = '', title = ''] of tests.matchAll(/^\| \d+ +\| `(test\/[^`]+)` +\| (.+?) +\|$/gm)) {
    const titles = readFileSync(join(projectRoot, file), 'utf8').match(/\btest\(\s*(['"`]).*?\1,/g) ?? []
    assert.ok(
      titles.some((text) => text.includes(title)),
      `${file} has no test "${title}"`,
    )
  }
})
