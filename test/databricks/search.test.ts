import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type SearchOptions, search } from '../../src/commands/search.ts'
import type { ResolvedConfig } from '../../src/config/resolved.ts'
import { outputOf } from '../commands/command-fixture.ts'
import { jsonlogLine, linesAsBytes } from '../support/log-lines.ts'
import { landAll, openWorkspaceBench } from './workspace-bench.ts'

/** Lines of one session, 37 ms apart. */
const messages = ['before', "it's a DEADLOCK: 100% of a_b\\c", 'after', 'deadlXck', '100 of axb']

async function found(config: ResolvedConfig, options: Partial<SearchOptions>): Promise<string[]> {
  const { code, text } = await outputOf(config, (context) => search(context, { limit: 100, ...options }))
  assert.equal(code, 0)
  return text
    .trimEnd()
    .split('\n')
    .map((line) => line.replace(/^(.).*\[\d+\] \w+ +/, '$1'))
}

for (const mode of ['copy-into', 'merge'] as const) {
  test(`a warehouse searches a table loaded by ${mode}: texts as they stand, times, rejects, context, and what lands later`, async (t) => {
    const bench = await openWorkspaceBench(t)
    const config = bench.config({ mode })
    const append = async (...lines: string[]) => {
      await bench.storage.append('primary.ndjson', linesAsBytes(lines))
      await landAll(config)
    }
    await append(...messages.map((message, index) => jsonlogLine(index, message)), 'a deadlock in no JSON')

    assert.deepEqual(await found(config, { text: 'deadlock' }), [
      ' (no time) REJECTED a deadlock in no JSON',
      ` ${messages[1]}`,
    ])
    assert.deepEqual(await found(config, { text: "it's a deadlock: 100% OF a_b\\" }), [` ${messages[1]}`])
    assert.deepEqual(await found(config, { text: "x' OR '1'='1" }), [''])
    assert.deepEqual(await found(config, { text: 'deadlock:', around: 1 }), [
      '-before',
      ` ${messages[1]}`,
      '-after',
    ])
    const firstMs = Date.UTC(2026, 10, 24, 9)
    assert.deepEqual(
      await found(config, {
        sinceMs: firstMs + 37,
        untilMs: firstMs + 3 * 37,
        severities: ['LOG'],
        database: 'shop',
        user: 'storefront',
      }),
      [` ${messages[1]}`, ' after'],
    )
    assert.deepEqual(await found(config, { limit: 1, severities: ['LOG'] }), [' 100 of axb'])

    const printed: string[] = []
    await outputOf(config, (context) => {
      const printRaw = async (text: string) => {
        printed.push(text.trimEnd().replace(/^.*\[\d+\] \w+ +/, ''))
        if (printed.length === 1) await append(jsonlogLine(10, 'deadlock again'))
        if (printed.length === 2) await append(jsonlogLine(11, 'deadlock at last'))
        return printed.length < 3
      }
      return search({ ...context, printRaw }, { limit: 1, text: 'deadlock', follow: true, pollMs: 20 })
    })
    assert.deepEqual(printed, [messages[1], 'deadlock again', 'deadlock at last'])
  })
}
