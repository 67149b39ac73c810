import { spawn, spawnSync } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { eventually } from './eventually.ts'
import { freePort } from './free-port.ts'
import { temporaryDirectory } from './temporary-directory.ts'

/** Why Prometheus and its checks cannot run here, or false: made to be a test's `skip`. */
export function prometheusMissing(): string | false {
  const isThere = ['promtool', 'prometheus'].every(
    (program) => spawnSync(program, ['--version']).status === 0,
  )
  return isThere ? false : 'the Debian package prometheus is not installed'
}

interface Series {
  readonly metric: Readonly<Record<string, string>>
}

/** A Prometheus that scrapes running processes. */
export interface TestPrometheus {
  query(expression: string): Promise<readonly Series[]>
}

/** Starts one that scrapes every second and ends with the test. @param rules the text of a file of rules */
export async function startPrometheus(
  t: TestContext,
  { ports, rules }: { readonly ports: readonly number[]; readonly rules: string },
): Promise<TestPrometheus> {
  const directory = await temporaryDirectory(t)
  const port = await freePort()
  const targets = JSON.stringify(ports.map((one) => `127.0.0.1:${one}`))
  await writeFile(join(directory, 'rules.yml'), rules)
  await writeFile(
    join(directory, 'prometheus.yml'),
    `global: { scrape_interval: 1s, evaluation_interval: 1s }
rule_files: [rules.yml]
scrape_configs: [{ job_name: tailrace, static_configs: [{ targets: ${targets} }] }]
`,
  )
  const server = spawn(
    'prometheus',
    [
      `--config.file=${join(directory, 'prometheus.yml')}`,
      `--storage.tsdb.path=${join(directory, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
      '--log.level=error',
    ],
    { stdio: 'ignore' },
  )
  const ended = new Promise((resolve) => server.once('close', resolve))
  t.after(async () => {
    server.kill('SIGKILL')
    await ended
  })
  const query: TestPrometheus['query'] = async (expression) => {
    const response = await fetch(
      `http://127.0.0.1:${port}/api/v1/query?query=${encodeURIComponent(expression)}`,
    )
    const { status, error, data } = (await response.json()) as {
      status: string
      error?: string
      data?: { result: readonly Series[] }
    }
    if (status !== 'success') throw new Error(`${expression}: ${error}`)
    return data?.result ?? []
  }
  await eventually(async () => (await query('up == 1').catch(() => [])).length === ports.length, 'scrapes')
  return { query }
}
