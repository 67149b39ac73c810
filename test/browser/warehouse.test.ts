import assert from 'node:assert/strict'
import { test } from 'node:test'
import { landAll, openWorkspaceBench } from '../databricks/workspace-bench.ts'
import { servePage } from '../page/served-page.ts'
import { jsonlogLine, linesAsBytes } from '../support/log-lines.ts'
import { accessibilityFaults } from './accessibility.ts'
import { needsChromium, openBrowser, openWindow } from './chromium.ts'

test('over tables of a warehouse, Explore and Report ask nothing and lead to statements, which run when one says so', {
  skip: needsChromium,
}, async (t) => {
  const bench = await openWorkspaceBench(t)
  const config = bench.config()
  const timestamp = new Date().toISOString().replace('T', ' ').replace('Z', ' UTC')
  const line = { ...JSON.parse(jsonlogLine(1, 'disk is full')), timestamp, error_severity: 'ERROR' }
  await bench.storage.append('primary.ndjson', linesAsBytes([JSON.stringify(line)]))
  await landAll(config)
  const sent = (): number => Array.from(bench.warehouse.statements.values()).reduce((sum, n) => sum + n, 0)
  const landing = sent()
  const { url } = await servePage(t, config)
  const { page, problems } = await openWindow(await openBrowser(t), { url: `${url}/#/report` })
  for (const room of ['Report', 'Explore']) {
    await page.getByRole('link', { name: room, exact: true }).click()
    await page.getByText(/costs money, so they ask nothing/).waitFor()
    assert.deepEqual(await accessibilityFaults(page), [], room)
  }
  for (const title of [
    'Errors by SQLSTATE',
    'Slowest statements',
    'Records and errors by hour',
    'Newest errors',
  ]) {
    await page.getByRole('link', { name: 'Explore', exact: true }).click()
    await page.getByRole('link', { name: title }).click()
    await page.getByRole('textbox', { name: 'SQL' }).getByText('current_date').waitFor()
    await page.getByText('No statement has run').waitFor()
    assert.equal(sent(), landing, 'nothing is sent before one runs it')
  }
  await page.getByRole('button', { name: 'Run' }).click()
  await page.getByRole('cell', { name: 'disk is full' }).first().waitFor()

  await page.getByRole('link', { name: 'Explore', exact: true }).click()
  await page.getByRole('link', { name: 'Records and errors by hour' }).click()
  await page.getByRole('button', { name: 'Run' }).click()
  await page.getByRole('checkbox', { name: 'records' }).waitFor()
  await page.getByRole('button', { name: 'Table' }).click()
  const row = page.getByRole('row').last()
  await row.getByRole('cell', { name: '1', exact: true }).first().waitFor()
  assert.deepEqual(problems, [])
})
