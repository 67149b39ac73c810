import { TailraceError } from '../errors.ts'
import type { Probe } from '../run/monitoring/health.ts'
import type { ProbeAnswer } from '../run/monitoring/metrics-server.ts'
import type { CommandContext } from './command.ts'
import { exitCodes } from './exit-code.ts'

export interface HealthOptions {
  readonly probe: Probe
  readonly json: boolean
}

/** An answer takes milliseconds, unless the process's event loop is blocked. */
const answerMs = 5_000

/**
 * Asks the process that runs with this config how it is, and prints the reasons if it is not well.
 *
 * @returns the exit code: 0 when it is well, 1 when it is not, or does not answer
 */
export async function health(
  { config, print }: CommandContext,
  { probe, json }: HealthOptions,
): Promise<number> {
  const { port, host } = config.metrics ?? {}
  if (port === undefined || port === 0 || host === undefined)
    throw new TailraceError('USAGE', 'health needs a fixed metrics.port, such as TAILRACE_METRICS_PORT=9464.')
  const url = `http://${reachable(host)}:${port}/${probe}`
  const answer = await ask(url)
  if (json) await print(`${JSON.stringify(answer)}\n`)
  else await print(answer.ok ? 'ok\n' : answer.reasons.map(describe).join(''))
  return answer.ok ? exitCodes.done : exitCodes.failed
}

async function ask(url: string): Promise<ProbeAnswer> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(answerMs) })
    return (await response.json()) as ProbeAnswer
  } catch (error) {
    const { name, cause } = error as Error
    const code = (cause as NodeJS.ErrnoException | undefined)?.code
    const reason = {
      code: 'PROCESS_UNANSWERED',
      since: new Date().toISOString(),
      reason: `${url} did not answer (${code ?? name})`,
      action: 'Check that the process runs with this config, and that its event loop is not blocked.',
    }
    return { ok: false, reasons: [reason] }
  }
}

function describe({ pipeline, code, since, reason, action }: ProbeAnswer['reasons'][number]): string {
  return `${pipeline === undefined ? '' : `${pipeline}: `}${code} since ${since}: ${reason}. ${action}\n`
}

/** A wildcard is an address to listen on, not one to connect to. */
function reachable(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1'
  if (host === '::') return '[::1]'
  return host.includes(':') ? `[${host}]` : host
}
