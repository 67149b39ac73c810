import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { jsonlogLine, linesAsBytes } from '../support/log-lines.ts'
import { skipUnless } from '../support/skip-unless.ts'
import { startStorage } from '../support/storage.ts'
import { projectRoot } from '../support/tailrace-process.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { runTool, tools, toolsMissing } from './tools.ts'

const skip = skipUnless(toolsMissing('python'))
const source = join(projectRoot, 'deploy/databricks/src')

test('the bundle generates the package and the statements of its jobs, and its drain lands a blob with Node.js of PyPI', {
  skip,
}, async (t) => {
  const storage = await startStorage(t)
  await storage.append('primary/a.ndjson', linesAsBytes([jsonlogLine(1), jsonlogLine(2)]))
  const root = await temporaryDirectory(t)
  const env = {
    AZURE_STORAGE_CONNECTION_STRING: storage.connectionString,
    TAILRACE_CONTAINER: 'logs',
    TAILRACE_PRIMARY: 'primary/',
    TAILRACE_LAKEHOUSE: join(root, 'lakehouse'),
    TAILRACE_STATE: join(root, 'state'),
    TAILRACE_VOLUME: '/Volumes/vitality_lakehouse_uat/pg_archive_sync/tailrace',
    DATABRICKS_HOST: 'adb-1234567890123456.7.azuredatabricks.net',
    DATABRICKS_HTTP_PATH: '/sql/1.0/warehouses/0123456789abcdef',
  }
  const generated = await runTool('sh', [join(source, 'generate.sh')], { env })
  assert.equal(generated.code, 0, generated.stderr)
  const views = readFileSync(join(source, 'generated/views.sql'), 'utf8')
  assert.match(views, /^CREATE OR REPLACE VIEW .*slow_statements/m)
  const tables = readFileSync(join(source, 'generated/streaming-tables.sql'), 'utf8')
  assert.match(tables, /^CREATE OR REFRESH STREAMING TABLE .*primary_postgresql_logs_uat/m)

  const release = ['--release', join(source, 'generated'), '--max-duration', '5m']
  const drain = await runTool(tools.python, [join(source, 'drain.py'), ...release], { env, cwd: root })
  assert.equal(drain.code, 0, drain.stdout + drain.stderr)
  const summary = drain.stdout.split('\n').find((line) => line.startsWith('{'))
  assert.equal(JSON.parse(summary!).pipelines.primary.rows, 2)
})
