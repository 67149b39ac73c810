import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { projectRoot } from '../support/tailrace-process.ts'

const folder = join(projectRoot, 'test/deploy')

/** Files that `prepare.sh` fetches. */
export const tools = {
  helm: join(folder, '.tools/helm'),
  composeSchema: join(folder, '.tools/compose-spec.json'),
  serviceMonitorSchema: join(folder, '.tools/servicemonitors.yaml'),
  python: join(folder, '.venv/bin/python'),
  collector: join(folder, '.tools/collector'),
  airflow: join(folder, '.venv-airflow/bin/airflow'),
} as const

/** Why a test with these tools cannot run here, or false: made to be a test's `skip`. */
export function toolsMissing(...names: readonly (keyof typeof tools)[]): string | false {
  const missing = names.filter((name) => !existsSync(tools[name]))
  return missing.length > 0 && `${missing.join(', ')} is not there: sh test/deploy/prepare.sh`
}

interface RunOptions {
  readonly input?: string
  readonly env?: NodeJS.ProcessEnv
  readonly cwd?: string
}

export interface ToolRun {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs a tool to its end, in the project's root unless another directory is given. */
export function runTool(
  program: string,
  args: readonly string[],
  { input, env, cwd = projectRoot }: RunOptions = {},
): Promise<ToolRun> {
  return new Promise((resolve, reject) => {
    const options = { cwd, env: { ...process.env, ...env }, maxBuffer: 64 * 1024 * 1024 }
    const child = execFile(program, args, options, (error, stdout, stderr) => {
      if (error !== null && typeof error.code !== 'number') reject(error)
      else resolve({ code: Number(error?.code ?? 0), stdout, stderr })
    })
    child.stdin?.end(input ?? '')
  })
}

/** @returns what is wrong with a manifest by the schemas that its readers publish */
export async function mistakesOf(
  kind: 'kubernetes' | 'compose' | 'bicep' | 'bundle',
  text: string,
  ...schemas: readonly string[]
): Promise<readonly string[]> {
  const run = await runTool(tools.python, [join(folder, 'check_manifests.py'), kind, ...schemas], {
    input: text,
  })
  if (run.code !== 0) throw new Error(run.stderr)
  return run.stdout.split('\n').filter((line) => line !== '')
}
