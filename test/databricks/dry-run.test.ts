import assert from 'node:assert/strict'
import { test } from 'node:test'
import { printLanding } from '../../src/commands/starting/print-landing.ts'
import { usualRecord } from '../../src/commands/usual-record.ts'
import { outputOf } from '../commands/command-fixture.ts'
import { landAll, openWorkspaceBench } from './workspace-bench.ts'

/** What a text says whatever the batch, the moment and the process are. */
function timeless(text: string): string {
  return text
    .replaceAll(/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, 'ID')
    .replaceAll(/\d{4}-\d\d-\d\d\/\d\d\b/g, 'HOUR')
    .replaceAll(/generation = '[^']*'|source_generation`? IN \([^)]*\)/g, 'GENERATION')
    .replace(/^PUT '[^']*'/, "PUT 'FILE'")
}

const requestOf = /^-- (?:GET|PUT|HEAD|DELETE|POST) https:/

for (const [mode, upload] of [
  ['auto', 'files-api'],
  ['transaction', 'put'],
  ['transaction', 'files-api'],
  ['replace-where', 'put'],
  ['replace-where', 'files-api'],
  ['copy-into', 'put'],
  ['copy-into', 'files-api'],
  ['merge', 'put'],
  ['stage-only', 'files-api'],
  ['stage-only', 'put'],
  ['zerobus', 'files-api'],
] as const) {
  test(`start --dry-run prints each statement and request of a first landing by mode ${mode} with ${upload}, in order, and sends none`, async (t) => {
    const bench = await openWorkspaceBench(t)
    const config = bench.config({ mode, upload })
    const { code, text } = await outputOf(config, (context) => printLanding(context, undefined))
    assert.equal(code, 0)
    assert.deepEqual(bench.workspace.log.requests, [])
    const steps = text
      .split('\n\n')
      .slice(1)
      .map((step) => step.trim())
      .filter((step) => step !== '')
    await bench.storage.append('primary.ndjson', `${JSON.stringify(usualRecord)}\n`)
    await landAll(config)
    const { log } = bench.workspace
    const printed = steps.filter((step) => !requestOf.test(step))
    assert.deepEqual(
      printed.map((step) => timeless(step.replace(/^(?:--.*\n)+/, '').replace(/;$/, ''))),
      log.statements.map((statement) => timeless(statement.text)),
    )
    const requests = steps.filter((step) => requestOf.test(step))
    assert.deepEqual(
      requests.map((step) =>
        timeless(step.replace(/^-- (\w+) https:\/\/[^/]+/, '$1 ').replace(/[?\n][\s\S]*/, '')),
      ),
      log.requests.filter((request) => /\/api\/2\.0\/fs\/|\/zerobus\//.test(request)).map(timeless),
    )
  })
}
