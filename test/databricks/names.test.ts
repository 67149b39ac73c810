import assert from 'node:assert/strict'
import test from 'node:test'
import { check } from '../../src/commands/check.ts'
import { status } from '../../src/commands/status.ts'
import { verify } from '../../src/commands/verify.ts'
import { postgresLogs } from '../../src/tables/postgres/logs.ts'
import { lines, outputOf } from '../commands/command-fixture.ts'
import { elsewhere } from './plain-table.ts'
import { landAll, openWorkspaceBench } from './workspace-bench.ts'

const names = { catalog: 'données', schema: 'journaux du soir', table: '日志 `a`' }
const volume = `/Volumes/${names.catalog}/${names.schema}/à charger/étape 1`

for (const mode of ['transaction', 'replace-where', 'copy-into', 'merge'] as const) {
  test(`blobs land by ${mode} in a table and a volume whose names have blanks, quotes and letters of any script`, async (t) => {
    const bench = await openWorkspaceBench(t)
    await bench.warehouse.execute(`CREATE CATALOG \`${names.catalog}\``, elsewhere)
    await bench.warehouse.execute(`CREATE SCHEMA \`${names.catalog}\`.\`${names.schema}\``, elsewhere)
    await bench.volumes.create(names.catalog, names.schema, 'à charger')
    const upload = mode === 'replace-where' ? 'files-api' : 'put'
    const table = postgresLogs(Object.values(names).join('.'))
    const config = bench.config({ mode, volume, upload }, { table })
    await bench.storage.append('primary.ndjson', lines(0, 10))
    assert.equal((await outputOf(config, check)).code, 0)
    assert.equal((await landAll(config)).pipelines.primary?.rows, 10)
    assert.equal((await outputOf(config, (context) => verify(context, undefined, true))).code, 0)
    const { text } = await outputOf(config, (context) => status(context, undefined, true))
    assert.equal(JSON.parse(text).blobs[0].rows, 10)
  })
}
