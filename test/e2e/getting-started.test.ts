import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import test from 'node:test'
import { runTailrace } from '../support/run-tailrace.ts'
import { projectRoot } from '../support/tailrace-process.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

/** A command line of the page, and what the page says that it prints. */
interface Shown {
  readonly line: string
  readonly lines: readonly string[]
}

const page = readFileSync(join(projectRoot, 'docs', 'getting-started.md'), 'utf8')

/** The command that a user runs: a config imports the package by its name. */
const command = { asShipped: true }

function shownOf(text: string): readonly Shown[] {
  return [...text.matchAll(/^```text\n(.*?)^```$/gms)].flatMap(([, block = '']) =>
    block
      .split(/^\$ /m)
      .slice(1)
      .map((part) => {
        const [line = '', ...lines] = part.trimEnd().split('\n')
        return { line, lines }
      }),
  )
}

/** Compares what was printed with the page: a line of the page that ends in ` …` is a beginning, and times differ. */
function assertShown({ line, lines }: Shown, printed: string): void {
  const found = printed.trimEnd().split('\n')
  assert.equal(found.length, lines.length, `$ ${line}\n${printed}`)
  for (const [index, expected] of lines.entries()) {
    const timeless = (text: string) => text.replace(/"durationMs":\d+/, '"durationMs":0')
    const isCut = expected.endsWith(' …')
    const beginning = timeless(isCut ? expected.slice(0, -' …'.length) : expected)
    const actual = timeless(found[index]!)
    assert.equal(isCut ? actual.slice(0, beginning.length) : actual, beginning, `$ ${line}`)
  }
}

test('every command of docs/getting-started.md prints what the page shows', async (t) => {
  const cwd = await temporaryDirectory(t)
  const shown = shownOf(page)
  assert.ok(shown.length >= 11, `${shown.length} commands`)
  for (const one of shown) {
    const [program, ...rest] = one.line.match(/"[^"]*"|\S+/g)!
    const args = rest.map((arg) => arg.replace(/^"(.*)"$/, '$1'))
    const path = join(cwd, args[0]!)
    if (program === 'cat' && one.line.includes('transform-tests/')) {
      // The reader's own files.
      await mkdir(dirname(path), { recursive: true })
      await writeFile(path, `${one.lines.join('\n')}\n`)
    } else if (program === 'cat') {
      assertShown(one, await readFile(path, 'utf8'))
    } else {
      assert.equal(program, 'tailrace')
      if (args[0] === 'tap') await addTransform(join(cwd, 'pipeline.config.ts'))
      const { code, stdout, stderr } = await runTailrace(t, args, { ...command, cwd })
      assert.equal(code, 0, `$ ${one.line}\n${stderr}`)
      assertShown(one, stdout)
    }
  }
})

/** What the page tells the reader to do before that command. */
async function addTransform(path: string): Promise<void> {
  const added = 'transforms: [redactLiterals()]'
  assert.ok(page.includes(`\`${added}\``))
  const text = await readFile(path, 'utf8')
  await writeFile(
    path,
    text.replace('transforms: []', added).replace('{ defineConfig,', '{ defineConfig, redactLiterals,'),
  )
}
