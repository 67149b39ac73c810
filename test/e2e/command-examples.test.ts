import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { examplesHeading, examplesPart } from '../support/cli-page.ts'
import { projectRoot } from '../support/tailrace-process.ts'

test('the examples of docs/cli.md are what commands print of the sample; TAILRACE_TEST_UPDATE=cli rewrites them', async (t) => {
  const path = join(projectRoot, 'docs', 'cli.md')
  const page = readFileSync(path, 'utf8')
  const examplesAt = page.indexOf(examplesHeading)
  const examples = await examplesPart(t)
  if (process.env.TAILRACE_TEST_UPDATE === 'cli') writeFileSync(path, page.slice(0, examplesAt) + examples)
  else assert.equal(page.slice(examplesAt), examples)
})
