import type { Random } from '../../doubles/seeded-random.ts'
import type { FaultRule, RequestFault, RouteFault, StatementFault } from '../../doubles/workspace/faults.ts'
import { SqlFailure } from '../../doubles/workspace/warehouse-engine.ts'
import type { DatabricksSinkConfig } from '../../src/sinks/databricks/options.ts'

/** How rows get from here into the workspace. */
export type SinkMode = Pick<DatabricksSinkConfig, 'mode' | 'upload'>

/** Whether a mode loads files that it stages. */
export function loadsFiles({ mode }: SinkMode): boolean {
  return mode !== 'merge' && mode !== 'stage-only'
}

/** What goes wrong in one schedule. */
export interface FaultSchedule {
  /** Faults that pass: a run outlasts them. */
  readonly passing: readonly FaultRule[]
  /** Faults that end a run with an error: the next one goes on. */
  readonly ending: readonly FaultRule[]
  /** The place among the passing faults of the one at whose first strike the run is given up. */
  readonly abortsAt: number | undefined
  /** For how many long pauses of the client a COPY or MERGE that nobody hears of stands still; undefined for none. */
  readonly orphanPauses: number | undefined
}

const filesApi = '/api/2\\.0/fs'

/** @returns faults of one seed, for what a mode asks of the workspace */
export function faultSchedule(mode: SinkMode, random: Random): FaultSchedule {
  const count = random.between(3, 9)
  const hasOrphan = mode.mode !== 'stage-only' && random.next() < 0.35
  return {
    passing: Array.from({ length: count }, () => passingRule(mode, random)),
    ending: random.next() < 0.3 ? [endingRule(mode, random)] : [],
    abortsAt: random.next() < 0.3 ? random.between(0, count - 1) : undefined,
    orphanPauses: hasOrphan ? random.between(1, 4) : undefined,
  }
}

/** What the statement that loads a batch begins with. */
export function loading({ mode }: SinkMode): RegExp {
  switch (mode) {
    case 'merge':
      return /^MERGE/
    case 'transaction':
      return /^BEGIN ATOMIC(?=[\s\S]*read_files)/
    case 'replace-where':
      return /^INSERT INTO/
    default:
      return /^COPY INTO/
  }
}

function passingRule(mode: SinkMode, random: Random): FaultRule {
  const strikes = { times: random.between(1, 3), probability: random.next() < 0.5 ? 1 : 0.4 }
  const usesWarehouse = mode.mode !== 'stage-only'
  const usesFilesApi = mode.upload === 'files-api'
  const site = oneOf(random, [
    ...(usesWarehouse ? (['statement', 'statement', 'load', 'load', 'rpc', 'open'] as const) : []),
    ...(usesFilesApi ? (['files', 'upload', 'upload'] as const) : []),
    ...(loadsFiles(mode) && !usesFilesApi ? (['staging', 'staging', 'upload'] as const) : []),
  ])
  switch (site) {
    case 'open':
      // A warehouse that starts refuses for a while.
      return { rpc: 'OpenSession', fault: requestFault(random), ...strikes, times: random.between(1, 5) }
    case 'rpc': {
      const rpc = oneOf(random, [
        'GetOperationStatus',
        'FetchResults',
        'GetResultSetMetadata',
        'CloseOperation',
      ])
      return { rpc, fault: sessionFault(random), ...strikes }
    }
    case 'statement':
      return { statement: /(?:)/, fault: statementFault(random), ...strikes }
    case 'load':
      return { statement: loading(mode), fault: loadFault(random), ...strikes }
    case 'staging':
      return { statement: /^(?:PUT|LIST|REMOVE)/, fault: statementFault(random), ...strikes }
    case 'files':
      return {
        route: new RegExp(`^(?:HEAD|GET|DELETE|PUT) ${filesApi}/`),
        fault: requestFault(random),
        ...strikes,
      }
    case 'upload':
      return { route: uploads(mode), fault: uploadFault(random), ...strikes }
  }
}

function endingRule(mode: SinkMode, random: Random): FaultRule {
  const denied = { kind: 'status', status: 403 } as const
  const deniedUpload: FaultRule = { route: uploads(mode), fault: denied, probability: 0.5, times: 1 }
  if (mode.mode === 'stage-only') return deniedUpload
  const failures = [
    new SqlFailure('INSUFFICIENT_PERMISSIONS', '42501', 'User lacks a privilege.'),
    new SqlFailure('DIVIDE_BY_ZERO', '22012', 'Division by zero.'),
  ]
  const failed: FaultRule = {
    statement: loading(mode),
    fault: { kind: 'fail', failure: oneOf(random, failures) },
    probability: 0.5,
    times: 1,
  }
  const refused: FaultRule = { rpc: 'ExecuteStatement', fault: denied, probability: 0.2, times: 2 }
  return oneOf(random, [failed, refused, ...(loadsFiles(mode) ? [deniedUpload] : [])])
}

function uploads({ upload }: SinkMode): RegExp {
  return upload === 'files-api' ? new RegExp(`^PUT ${filesApi}/files/`) : /^PUT \/staging\//
}

function requestFault(random: Random): RequestFault {
  const retryAfter = random.next() < 0.5 ? { retryAfterSeconds: random.between(1, 60) } : {}
  return oneOf(random, [
    { kind: 'status', status: 503, ...retryAfter },
    { kind: 'status', status: 429, ...retryAfter },
    { kind: 'drop-before' },
    { kind: 'drop-after' },
  ])
}

function uploadFault(random: Random): RouteFault {
  const cut = { kind: 'cut-upload', afterBytes: random.between(1, 8_000) } as const
  return oneOf<RouteFault>(random, [cut, cut, { kind: 'status', status: 500 }, requestFault(random)])
}

function sessionFault(
  random: Random,
): Exclude<StatementFault, { readonly kind: 'slow' | 'orphan' | 'fail' }> {
  const expired = random.next() < 0.5 ? ({ saidBy: 'http' } as const) : {}
  return random.next() < 0.4 ? { kind: 'session-expired', ...expired } : requestFault(random)
}

function statementFault(random: Random): StatementFault {
  const end = random.next() < 0.5 ? ({ holds: 'end' } as const) : {}
  return oneOf<StatementFault>(random, [
    sessionFault(random),
    sessionFault(random),
    { kind: 'slow', polls: random.between(1, 2), ...end },
    { kind: 'orphan' },
  ])
}

/** Classes by which a transaction says that another one was first. */
const conflicts = ['DELTA_CONCURRENT_APPEND', 'DELTA_CONCURRENT_WRITE', 'DELTA_METADATA_CHANGED'] as const

function loadFault(random: Random): StatementFault {
  if (random.next() < 0.6) return statementFault(random)
  const conflict = new SqlFailure(oneOf(random, conflicts), '2D521', 'Another transaction was committed.')
  return { kind: 'fail', failure: conflict }
}

function oneOf<T>(random: Random, choices: readonly T[]): T {
  return choices[random.between(0, choices.length - 1)] as T
}
