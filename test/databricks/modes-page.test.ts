import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import type { TailraceConfig } from '../../src/config/options.ts'
import { resolveConfig } from '../../src/config/resolve.ts'
import { sinkTarget } from '../../src/config/resolved.ts'
import type { DatabricksTarget } from '../../src/sinks/databricks/options.ts'
import { landingCost } from '../../src/sinks/databricks/setup/cost.ts'
import type { Right } from '../../src/sinks/databricks/setup/grant-sql.ts'
import { neededRights } from '../../src/sinks/databricks/setup/rights.ts'
import { usualSettings, warehousePrice } from '../../src/sinks/databricks/setup/warehouse-price.ts'
import { postgresLogs } from '../../src/tables/postgres/logs.ts'
import { projectRoot } from '../support/tailrace-process.ts'

const modes = ['transaction', 'replace-where', 'copy-into', 'merge', 'stage-only', 'zerobus'] as const

test('docs/databricks-modes.md has the cost and the rights of each mode as the code has them; TAILRACE_TEST_UPDATE=databricks rewrites them', () => {
  const path = join(projectRoot, 'docs', 'databricks-modes.md')
  const page = readFileSync(path, 'utf8')
  const [before = '', , after = ''] = page.split(/(?<=<!-- figures -->\n)|(?=<!-- \/figures -->)/)
  const updated = `${before}\n${table()}\n\n${after}`
  if (process.env.TAILRACE_TEST_UPDATE === 'databricks') writeFileSync(path, updated)
  assert.equal(readFileSync(path, 'utf8'), updated)
})

function table(): string {
  const rows = [
    ['mode', 'statements a day', 'warehouse awake', '$ a day', 'rights on tables and volume'],
    ...modes.map((mode) => {
      const { statements, awakeHours, dollars, rights } = factsOf(mode)
      return [`\`${mode}\``, String(statements), `${awakeHours.toFixed(1)} h`, dollars.toFixed(2), rights]
    }),
  ]
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column]!)).join(' | ')} |`
  const [head, ...body] = rows as [string[], ...string[][]]
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...body.map(line)].join('\n')
}

/** The figures of one pipeline with the defaults and 1 GB of logs a day. */
function factsOf(mode: (typeof modes)[number]) {
  const config = resolveConfig(
    {
      pipelines: {
        primary: {
          source: { storage: { kind: 'embedded' }, container: 'logs', blobs: 'a' },
          table: postgresLogs('lake.logs.pg'),
          sink: {
            kind: 'databricks',
            host: 'adb-1.azuredatabricks.net',
            httpPath: '/sql/1.0/warehouses/a',
            auth: { kind: 'oauth', clientId: 'a', clientSecret: 'b' },
            zerobus: { host: '1234567890123456.zerobus.westeurope.azuredatabricks.net' },
            volume: '/Volumes/lake/logs/files',
            mode,
          },
        },
      },
    } as TailraceConfig,
    '/',
  )
  const pipeline = config.pipelines.primary!
  const target = sinkTarget('primary', pipeline) as DatabricksTarget
  const cost = landingCost(
    'w',
    [{ target, batch: pipeline.batch, bytesPerDay: 1e9 }],
    warehousePrice(usualSettings, target.sink.prices),
  )
  const { container, volume, creation, table: onTable, offsets } = neededRights(target)
  const names = (rights: readonly Right[]): string =>
    rights.map(({ privilege }) => `\`${privilege}\``).join(', ')
  const parts = [
    names(container),
    names(volume),
    creation.length === 0 ? '' : `${names(creation)}, or ${names(onTable)} on the table`,
    offsets.length === 0 ? '' : `${names(offsets)} on \`tailrace_offsets\``,
  ]
  return { ...cost, rights: parts.filter((part) => part !== '').join('; ') }
}
