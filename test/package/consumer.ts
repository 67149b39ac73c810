import { execFile, spawn } from 'node:child_process'
import { readdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { projectRoot } from '../support/tailrace-process.ts'

const run = promisify(execFile)

/** Without the settings of whoever runs the tests, except those of the package manager. */
function plainEnvironment(): NodeJS.ProcessEnv {
  const foreign = /^(?:NODE_|TAILRACE|AZURE|DATABRICKS|INIT_CWD|npm_(?:lifecycle|package|command|execpath))/i
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !foreign.test(name)))
}

/** Runs npm quietly; gives what it prints. */
export async function npm(args: readonly string[], cwd: string): Promise<string> {
  const { stdout } = await run('npm', [...args, '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd,
    env: plainEnvironment(),
  })
  return stdout.trim()
}

/** Builds the package as a release does, and packs it. @returns the path of the tarball */
export async function packInto(directory: string): Promise<string> {
  const printed = await npm(['pack', '--json', '--pack-destination', directory], projectRoot)
  const [{ filename }] = JSON.parse(printed.slice(printed.lastIndexOf('\n[') + 1)) as [{ filename: string }]
  return join(directory, filename)
}

/** A project whose only dependency is the packed Tailrace, as `npm init` and `npm install` make it. */
export async function createConsumer(directory: string, tarball: string): Promise<void> {
  await writeFile(
    join(directory, 'package.json'),
    '{ "name": "consumer", "version": "1.0.0", "type": "commonjs" }',
  )
  await npm(['install', '--prefer-offline', tarball], directory)
}

/** Installs releases of Node side by side. @returns the path of a release's program */
export async function installNodes(
  directory: string,
  releases: readonly number[],
): Promise<(release: number) => string> {
  const dependencies = Object.fromEntries(
    releases.map((release) => [`node${release}`, `npm:node@${release}`]),
  )
  await writeFile(join(directory, 'package.json'), JSON.stringify({ private: true, dependencies }))
  await npm(['install', '--prefer-offline'], directory)
  return (release) => join(directory, 'node_modules', `node${release}`, 'bin', 'node')
}

export interface ProgramRun {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs a program to its end. */
export function runProgram(
  program: string,
  args: readonly string[],
  { cwd, env }: { readonly cwd: string; readonly env?: NodeJS.ProcessEnv | undefined },
): Promise<ProgramRun> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd,
      env: { ...plainEnvironment(), ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let stdout = ''
    let stderr = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text
    })
    child.once('error', reject)
    child.once('close', (code) => resolve({ code, stdout, stderr }))
  })
}

/** @returns the bytes that a directory takes on the disk, as `du` counts them */
export async function diskBytes(directory: string): Promise<number> {
  let bytes = 0
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    if (entry.isSymbolicLink()) continue
    bytes += (await stat(join(entry.parentPath, entry.name))).blocks * 512
  }
  return bytes
}
