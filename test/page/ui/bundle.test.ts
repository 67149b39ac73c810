import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { projectRoot } from '../../support/tailrace-process.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

const maxGzippedBytes = 300_000

test('the page is one document, one script and one style sheet, under 300 KB gzipped, and asks no other host', async (t) => {
  const directory = join(await temporaryDirectory(t), 'page')
  execFileSync(process.execPath, [join(projectRoot, 'scripts/build/page.js'), directory])
  const names = readdirSync(directory).sort()
  const [script, style] = ['.js', '.css'].map((end) => names.filter((name) => name.endsWith(end)))
  assert.deepEqual([script?.length, style?.length], [1, 1])
  for (const [name] of [script, style] as string[][])
    assert.match(name!, /^tailrace-[A-Z0-9]{8}\.(?:js|css)$/)
  assert.deepEqual(
    names.filter((name) => !name.startsWith('tailrace-')),
    ['index.html', 'licenses.txt', 'tailrace.svg'],
  )
  const loaded = names.filter((name) => name !== 'licenses.txt')
  const bytes = loaded.reduce((sum, name) => sum + gzipSync(readFileSync(join(directory, name))).length, 0)
  t.diagnostic(`${bytes} bytes gzipped`)
  assert.ok(bytes < maxGzippedBytes, `${bytes} bytes`)

  const html = readFileSync(join(directory, 'index.html'), 'utf8')
  for (const name of ['tailrace.svg', ...script!, ...style!]) assert.ok(html.includes(`"${name}"`), name)
  assert.doesNotMatch(html, /https?:|%js%|%css%|<script(?![^>]* src=)|<style| style=/)
  assert.doesNotMatch(readFileSync(join(directory, style![0]!), 'utf8'), /@import|url\((?!data:)/)

  const licenses = readFileSync(join(directory, 'licenses.txt'), 'utf8')
  for (const name of ['preact', 'uplot', '@codemirror/view', '@lezer/common', 'style-mod'])
    assert.match(licenses, new RegExp(`^${name} \\d`, 'm'))
})
