// Writes docs/api.md, the reference of the public names, from the doc comments: `pnpm docs:api`. A test of the package
// compares the page with the sources.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))

// Not dependencies: typedoc reads sources by the programming interface of TypeScript 6, which 7 does not have.
const packages = ['typedoc@0.28.20', 'typedoc-plugin-markdown@4.14.1', 'typescript@6.0.3']

const introduction = `# API

Written from the doc comments by \`pnpm docs:api\`. \`import { … } from 'tailrace'\`; the transforms that ship and their types
are also in \`tailrace/transforms\`, and [tests of configs and transforms](#tailracetesting) have \`tailrace/testing\`.

A config declares pipelines (\`defineConfig\`, [TailraceConfig](#tailraceconfig)); \`loadConfig\` checks it; \`Tailrace\` runs
it; \`status\`, \`verify\`, \`query\` and \`replay\` are the commands of these names. The stages (\`AppendBlobTailer\` to
\`LakehouseSink\`) are the streams that a pipeline consists of, and \`BlobReader\`, \`Sink\` and \`TableCommitter\` the ports to
other storage and other tables.

`

/** @returns the page of the sources as they are */
export function apiPage(): string {
  const out = mkdtempSync(join(tmpdir(), 'tailrace-api-'))
  try {
    const run = ['dlx', 'typedoc', '--options', 'typedoc.json', '--out', out, '--logLevel', 'Warn']
    const chosen = packages.map((name) => `--package=${name}`)
    execFileSync('npx', ['-y', 'pnpm@10.34.9', ...chosen, ...run], {
      cwd: root,
      stdio: ['ignore', 'ignore', 'inherit'],
    })
    const section = (file: string, title: string): string =>
      readFileSync(join(out, file), 'utf8')
        .replace(/^# .*\n/, title)
        // A property's anchor is not unique, and nothing links to it.
        .replaceAll(/<a id="property-[^"]*"><\/a> /g, '')
        .replaceAll(/^\*\*\*\n\n## \w+\n\nRe-exports .*\n*/gm, '')
        .replaceAll(/\]\((?:\.\.\/)*(?:index|transforms|run\/testing|testing)\.md#/g, '](#')
    return `${introduction}${section('index.md', '').trim()}\n\n## tailrace/testing\n\n${section('run/testing.md', '').trim()}\n`
  } finally {
    rmSync(out, { recursive: true, force: true })
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  writeFileSync(join(root, 'docs/api.md'), apiPage())
}
