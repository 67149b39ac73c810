import { isTailraceError } from '../../../errors.ts'
import { interactiveRetry } from '../../../retry.ts'
import { qualifiedName } from '../../../tables/spark-sql.ts'
import type { TableName } from '../../../tables/table.ts'
import type { SinkContext } from '../../sink.ts'
import type { RightsReport } from '../../sink-setup.ts'
import { openWorkspace, type Workspace } from '../open-workspace.ts'
import type { DatabricksOptions, DatabricksTarget } from '../options.ts'
import { WorkspaceCatalog } from '../tables/catalog.ts'
import type { Warehouse } from '../warehouse/warehouse.ts'
import { grantSql, type Right } from './grant-sql.ts'
import { canUseCommand, deniedRight, neededRights } from './rights.ts'

/** What the message of a refusal by the warehouse has when the workspace said why. A token may be refused, too. */
const saysCanUse = /lacks CAN USE on the SQL warehouse/

/** The outcome of the probes so far. */
interface Findings {
  readonly missing: Right[]
  readonly unknown: Right[]
  /** Refusals that name no right. */
  readonly unnamed: string[]
  /** Commands for rights that SQL cannot grant. */
  readonly commands: { readonly missing: string[]; readonly unknown: string[] }
  readonly found: string[]
}

/**
 * Probes each right of a pipeline, so that one run names all that are missing. A right on an object can only be probed
 * with those on its catalog and schema.
 *
 * @throws WAREHOUSE_DENIED when the workspace refuses the token, WAREHOUSE_MISSING, WAREHOUSE_UNAVAILABLE
 */
export async function probeRights({
  target,
  signal,
  clock,
  logger,
}: SinkContext<DatabricksOptions>): Promise<RightsReport> {
  const workspace = await openWorkspace(target, {
    retry: { policy: interactiveRetry },
    signal,
    clock,
    logger,
  })
  try {
    return await probed(target, workspace)
  } finally {
    await workspace.close()
  }
}

async function probed(
  target: DatabricksTarget,
  { warehouse, staging, zerobus, api }: Workspace,
): Promise<RightsReport> {
  const principal = await api.principal()
  const needed = neededRights(target)
  const findings: Findings = {
    missing: [],
    unknown: [],
    unnamed: [],
    commands: { missing: [], unknown: [] },
    found: [`signs in as ${principal}`],
  }
  const rest = [...needed.volume, ...needed.creation, ...needed.table, ...needed.offsets]
  if (warehouse !== undefined) {
    try {
      await warehouse.execute({ label: 'probe the warehouse', sql: 'SELECT 1 AS one', repeatable: true })
      findings.found.push('may use the warehouse')
    } catch (error) {
      if (!isTailraceError(error, 'WAREHOUSE_DENIED')) throw error
      const command = canUseCommand(target.sink.httpPath ?? '', principal)
      if (saysCanUse.test(error.message)) findings.commands.missing.push(command)
      else {
        findings.unnamed.push(error.message)
        findings.commands.unknown.push(command)
      }
      addAll(findings.unknown, [...needed.container, ...rest])
      return report(principal, findings)
    }
    if (!(await containersAreThere(warehouse, needed.container, findings))) {
      addAll(findings.unknown, rest)
      return report(principal, findings)
    }
  }
  if (staging !== undefined) {
    const probe = (work: () => Promise<unknown>, right: Right): Promise<boolean> =>
      hasRight(work, [right], findings)
    const [read, write] = needed.volume as readonly [Right, Right]
    const volume = staging.folder
    if (await probe(() => staging.list(''), read)) findings.found.push(`may list files in ${volume}`)
    // Removing what does not exist needs the right, and does nothing.
    if (await probe(() => staging.remove('tailrace-check'), write))
      findings.found.push(`may write files in ${volume}`)
  }
  if (warehouse !== undefined) await probeTables(warehouse, target, findings)
  if (zerobus !== undefined) {
    const rights = [...needed.container, ...needed.table]
    if (await hasRight(() => zerobus.requireToken(), rights, findings))
      findings.found.push(`gets a token of Zerobus for ${qualifiedName(target.table.name)}`)
  }
  return report(principal, findings)
}

/** Probes rights on the tables that exist. Those on a missing one come with its creation, which a trial shows. */
async function probeTables(
  warehouse: Warehouse,
  target: DatabricksTarget,
  findings: Findings,
): Promise<void> {
  const { table, offsets, creation } = neededRights(target)
  const catalog = new WorkspaceCatalog(warehouse)
  for (const rights of [table, offsets]) {
    const [read, write] = rights
    if (read === undefined || write === undefined) continue
    const [catalogName = '', schema = '', name = ''] = read.on
    const full: TableName = { catalog: catalogName, schema, table: name }
    const quoted = qualifiedName(full)
    const statement = (label: string, sql: string) => () =>
      warehouse.execute({ label, sql, repeatable: true })
    const select = statement('probe SELECT', `SELECT 1 AS one FROM ${quoted} LIMIT 1`)
    // The catalog does not show a table without any right on it, but a query of it is refused.
    const isVisible = await catalog.hasTable(full)
    let isMissing = false
    const mayRead = await hasRight(
      async () => {
        try {
          await select()
        } catch (error) {
          if (isVisible || !isNotFound(error)) throw error
          isMissing = true
        }
      },
      [read],
      findings,
    )
    if (isMissing) {
      if (!target.sink.createTable) addAll(findings.unknown, rights)
      continue
    }
    if (mayRead) findings.found.push(`may read ${quoted}`)
    const mayWrite = await hasRight(
      statement('probe MODIFY', `DELETE FROM ${quoted} WHERE 1 = 0`),
      [write],
      findings,
    )
    if (mayWrite) findings.found.push(`may change ${quoted}`)
  }
  if (findings.unknown.length > 0 || findings.missing.length > 0 || findings.unnamed.length > 0)
    addAll(findings.unknown, creation)
}

function isNotFound(error: unknown): boolean {
  return isTailraceError(error) && String(error.context.errorClass).includes('TABLE_OR_VIEW_NOT_FOUND')
}

/** @returns whether the catalogs and schemas can be seen */
async function containersAreThere(
  warehouse: Warehouse,
  container: readonly Right[],
  findings: Findings,
): Promise<boolean> {
  const catalog = new WorkspaceCatalog(warehouse)
  let areThere = true
  for (const right of container.filter(({ kind }) => kind === 'SCHEMA')) {
    const [name = '', schema = ''] = right.on
    const ofCatalog = container.filter(({ kind, on }) => kind === 'CATALOG' && on[0] === name)
    const isThere = await hasRight(
      () => catalog.requireSchema({ catalog: name, schema }),
      [...ofCatalog, right],
      findings,
    )
    if (isThere) findings.found.push(`may use the schema ${name}.${schema}`)
    areThere &&= isThere
  }
  return areThere
}

/** @returns whether the probe succeeded, or failed for another reason than a missing right */
async function hasRight(
  work: () => Promise<unknown>,
  expected: readonly Right[],
  { missing, unknown, unnamed }: Findings,
): Promise<boolean> {
  try {
    await work()
    return true
  } catch (error) {
    const lacking = deniedRight(error)
    if (lacking === undefined) {
      // An append-only table refuses to delete, whoever asks.
      if (
        isTailraceError(error, 'STATEMENT_FAILED') &&
        String(error.context.errorClass).includes('APPEND_ONLY')
      )
        return true
      throw error
    }
    if (lacking !== 'unnamed') missing.push(lacking)
    else {
      unnamed.push((error as Error).message)
      addAll(unknown, expected)
    }
    return false
  }
}

function addAll(list: Right[], rights: readonly Right[]): void {
  for (const right of rights) list.push(right)
}

function report(principal: string, { found, unnamed, commands, ...rights }: Findings): RightsReport {
  const missing = [...commands.missing, ...grantSql(rights.missing, principal)]
  const unknown = [...commands.unknown, ...grantSql(rights.unknown, principal)]
  return {
    principal,
    missing,
    unnamed: [...new Set(unnamed)],
    unknown: unknown.filter((sql) => !missing.includes(sql)),
    found,
  }
}
