import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { cp, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import { promisify } from 'node:util'
import { projectRoot } from '../support/tailrace-process.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const run = promisify(execFile)

test('commands that are the first of a clone, started at once and after one that was killed, all run', async (t) => {
  const clone = await temporaryDirectory(t)
  for (const name of ['bin', 'scripts', 'src', 'package.json', 'tsconfig.json', 'tsconfig.build.json'])
    await cp(join(projectRoot, name), join(clone, name), { recursive: true })
  await symlink(join(projectRoot, 'node_modules'), join(clone, 'node_modules'))
  // A process of this number has ended.
  await mkdir(join(clone, 'dist'))
  await writeFile(join(clone, 'dist/.compiling'), String(2 ** 22 + 1))

  const { version } = JSON.parse(await readFile(join(clone, 'package.json'), 'utf8')) as { version: string }
  const command = join(clone, 'bin/tailrace.js')
  const runs = await Promise.all([1, 2, 3].map(() => run(process.execPath, [command, '--version'])))
  assert.deepEqual(
    runs.map(({ stdout }) => stdout),
    Array(3).fill(`${version}\n`),
  )
  const files = await readdir(join(clone, 'dist'))
  assert.ok(files.includes('cli.js') && !files.includes('.compiling'), files.join())

  // An inner module would be a second copy, whose errors are of other classes.
  const config = join(clone, 'inner.config.ts')
  await writeFile(config, "import { errors } from './src/errors.ts'\nexport default { errors }\n")
  await assert.rejects(
    run(process.execPath, [command, 'status', '--config', config]),
    /CONFIG_UNREADABLE.*inner module of Tailrace.*import from src\/index\.ts/,
  )
})
