import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { errors } from '../src/errors.ts'
import { healthCodes, probes } from '../src/run/monitoring/health.ts'
import { postgresLogs } from '../src/tables/postgres/logs.ts'
import { commandPaths } from './support/cli-page.ts'

const textOf = (path: string): string => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8')

test('docs/errors.md has one heading for every error code, and none for anything else', () => {
  const headings = [...textOf('docs/errors.md').matchAll(/^## `?([A-Z_]+)`?$/gm)].map(([, code]) => code)
  assert.deepEqual(headings.toSorted(), Object.keys(errors).toSorted())
})

test('docs/configuration.md names every option of the config', () => {
  const files = [
    'azure/account-storage.ts',
    'config/options.ts',
    'sinks/databricks/options.ts',
    'sinks/delta/options.ts',
    'sources/options.ts',
  ]
  const options = files.flatMap((file) =>
    [...textOf(`src/${file}`).matchAll(/\breadonly (\w+)\??:/g)].map(([, name]) => name as string),
  )
  assert.ok(options.includes('pollMs') && options.includes('connectionString') && options.length > 25)
  const code = [...textOf('docs/configuration.md').matchAll(/`([^`\n]+)`/g)]
    .map(([, text]) => text)
    .join('\n')
  assert.deepEqual(
    options.filter((name) => !new RegExp(`\\b${name}\\b`).test(code)),
    [],
  )
})

test('ARCHITECTURE.md has a line for every folder of src, and names no folder or file that is not there', () => {
  const page = textOf('ARCHITECTURE.md')
  const folders = readdirSync(new URL('../src', import.meta.url), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ parentPath, name }) => `${parentPath.slice(parentPath.lastIndexOf('/src') + 1)}/${name}/`)
  const rows = page.split('\n').filter((line) => line.startsWith('| `src/'))
  assert.deepEqual(
    folders.filter((folder) => !rows.some((row) => row.split('|')[1]?.includes(`\`${folder}\``))),
    [],
  )
  const named = [...page.matchAll(/`((?:src|test|bench|doubles|docs)\/[^`\s]*)`/g)].map(
    ([, path]) => path as string,
  )
  assert.deepEqual(
    named.filter((path) => !existsSync(new URL(`../${path}`, import.meta.url))),
    [],
  )
})

test('docs/operations.md has a row for every command', () => {
  const commands = commandPaths().map(([name]) => name)
  const rows = [...textOf('docs/operations.md').matchAll(/^\| `tailrace (\w+)/gm)].map(([, name]) => name)
  assert.ok(commands.length > 10)
  assert.deepEqual(rows.toSorted(), commands.toSorted())
})

test('docs/operations.md has a row for every health code, and every probe', () => {
  const [, section = ''] = textOf('docs/operations.md').split('\n## Health\n')
  const rows = [...section.split('\n## ', 1)[0]!.matchAll(/^\| `([^`]+)` /gm)].map(([, name]) => name)
  assert.deepEqual(rows, [...probes.map((probe) => `/${probe}`), ...Object.keys(healthCodes)])
})

test('docs/tables.md has the columns of postgresLogs, in their order', () => {
  const [, block = ''] = textOf('docs/tables.md').split(/<!-- \/?columns -->/)
  const rows = [...block.matchAll(/^\| `(\w+)` *\| (\w+) *\| (.*?) *\|$/gm)].map(([, ...cells]) => cells)
  assert.deepEqual(
    rows,
    postgresLogs('a.b.c').columns.map(({ name, type, comment }) => [name, type, comment]),
  )
})

test('every link of a page leads to a file, and to a heading of it', () => {
  const pages = [
    'README.md',
    'ARCHITECTURE.md',
    'bench/README.md',
    ...readdirSync(new URL('../docs', import.meta.url))
      .filter((name) => name.endsWith('.md'))
      .map((name) => `docs/${name}`),
  ]
  const wrong = pages.flatMap((page) =>
    [...textOf(page).matchAll(/\]\(([^)\s]+)\)/g)]
      .map(([, target]) => target as string)
      .filter((target) => !/^https?:/.test(target) && !leadsSomewhere(page, target))
      .map((target) => `${page}: ${target}`),
  )
  assert.deepEqual(wrong, [])
})

function leadsSomewhere(page: string, target: string): boolean {
  const [path = '', anchor] = target.split('#')
  const file = path === '' ? page : new URL(path, `file:///${page}`).pathname.slice(1)
  if (!existsSync(new URL(`../${file}`, import.meta.url))) return false
  return anchor === undefined || headingsOf(textOf(file)).includes(anchor)
}

/** As GitHub makes anchors of headings: lower case, no punctuation, a hyphen for each blank, and a number when repeated. */
function headingsOf(text: string): string[] {
  const seen = new Map<string, number>()
  return [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) => {
    const anchor = heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}_ -]/gu, '')
      .replaceAll(' ', '-')
    const count = seen.get(anchor) ?? 0
    seen.set(anchor, count + 1)
    return count === 0 ? anchor : `${anchor}-${count}`
  })
}
