import { qualifiedName, quoteName, quoteText } from '../../../tables/spark-sql.ts'
import { createdProperties, type DatabricksTarget, prefersTransactions, stagingFolderOf } from '../options.ts'
import { createTableSql, streamingTableSql } from '../tables/definition.ts'
import { createOffsetsSql } from '../transactions/transaction-sql.ts'
import { warehouseId } from '../warehouse/setup-error.ts'
import { rowsOnceSql } from '../zerobus/rows-once.ts'
import { grantSql } from './grant-sql.ts'
import { canUseCommand, neededRights, quoteArgument, volumeParts } from './rights.ts'

/** Stands for an identity that the config does not name. */
const unknownPrincipal = '<application id>'

/** Minutes: the shortest auto-stop that the warehouses API documents. */
const autoStopMinutes = 10

/** @returns the identity that a pipeline signs in as, where its options name it */
export function principalOf({ sink: { auth } }: Pick<DatabricksTarget, 'sink'>): string | undefined {
  if (auth.kind === 'oauth') return auth.clientId
  return auth.kind === 'entra' ? auth.managedIdentityClientId : undefined
}

/**
 * Formats the commands of the Databricks CLI and the SQL by which an administrator prepares a workspace for pipelines.
 *
 * Commands: https://docs.databricks.com/dev-tools/cli/reference/ (read 2026-11-29); none was run in a real workspace.
 *
 * @param targets at least one, all of one workspace and warehouse
 */
export function setupScript(targets: readonly DatabricksTarget[], given: string | undefined): string {
  const [first] = targets
  if (first === undefined) return ''
  const principal = given ?? targets.map(principalOf).find((id) => id !== undefined) ?? unknownPrincipal
  const names = targets.map(({ name }) => name).join(', ')
  return `${[
    `# Prepares ${first.sink.host} for ${targets.length === 1 ? 'the pipeline' : 'the pipelines'} ${names}.`,
    ...(principal === unknownPrincipal ? [unnamed(first)] : []),
    '',
    '# 1. Commands of the Databricks CLI, for an administrator of the workspace.',
    '',
    ...commands(first, targets, principal),
    '-- 2. SQL, for somebody who may create catalogs and grant rights; in any SQL editor of the workspace.',
    '',
    ...statements(targets, principal),
    '-- 3. tailrace check --write then uploads a file, lands a row in a scratch table, and removes both.',
  ].join('\n')}\n`
}

function unnamed({ sink }: DatabricksTarget): string {
  const where = sink.auth.kind === 'token' ? 'A personal token does' : 'The config does'
  return `# ${where} not name a service principal: replace ${unknownPrincipal}, or pass --principal ID.`
}

function commands(
  { sink }: DatabricksTarget,
  targets: readonly DatabricksTarget[],
  principal: string,
): readonly string[] {
  const entitlements = [{ value: 'workspace-access' }, { value: 'databricks-sql-access' }]
  const identity = { applicationId: principal, displayName: 'tailrace', entitlements }
  const { httpPath } = sink
  return [
    `export DATABRICKS_HOST=https://${sink.host}`,
    '',
    '# The service principal, with the entitlements to sign in and to use SQL; an error means that it is there already.',
    `databricks service-principals create --json ${quoteArgument(JSON.stringify(identity))}`,
    ...(sink.auth.kind === 'oauth'
      ? ['# Its OAuth secret is made in the workspace: Settings > Identity and access > Service principals.']
      : []),
    '',
    ...(httpPath === undefined
      ? []
      : [
          `# The warehouse is billed until it was idle for ${autoStopMinutes} minutes; without a limit it never stops.`,
          `databricks warehouses edit ${warehouseId(httpPath)} --auto-stop-mins ${autoStopMinutes}`,
          '# Or a new one, whose id then belongs into sink.httpPath and the command below:',
          `# databricks warehouses create --name tailrace --cluster-size 2X-Small --min-num-clusters 1 --max-num-clusters 1 --auto-stop-mins ${autoStopMinutes} --enable-serverless-compute --warehouse-type PRO`,
          '# CAN USE, which SQL cannot grant:',
          ...new Set(targets.map((target) => canUseCommand(target.sink.httpPath ?? httpPath, principal))),
          '',
        ]),
  ]
}

function statements(targets: readonly DatabricksTarget[], principal: string): readonly string[] {
  const containers = new Set<string>()
  const volumes = new Set<string>()
  const tables = new Set<string>()
  for (const target of targets) {
    const { sink, table } = target
    const [catalog = '', schema = '', volume = ''] = volumeParts(stagingFolderOf(target) && sink.volume)
    for (const [one, other] of [
      [table.name.catalog, table.name.schema],
      [catalog, schema],
    ] as const) {
      if (one === '') continue
      containers.add(`CREATE CATALOG IF NOT EXISTS ${quoteName(one)};`)
      containers.add(`CREATE SCHEMA IF NOT EXISTS ${quoteName(one)}.${quoteName(other)};`)
    }
    if (volume !== '')
      volumes.add(
        `CREATE VOLUME IF NOT EXISTS ${[catalog, schema, volume].map(quoteName).join('.')}\nCOMMENT ${quoteText('Files on their way into tables, and for a day after.')};`,
      )
    for (const sql of tableStatements(target)) tables.add(`${sql};`)
  }
  const rights = targets.map(neededRights)
  const creates = targets.some(({ sink }) => sink.createTable)
  const grants = grantSql(
    rights.flatMap(({ container, volume, creation, table, offsets }, index) => [
      ...container,
      ...volume,
      ...(targets[index]?.sink.createTable ? creation : []),
      ...table,
      ...offsets,
    ]),
    principal,
  )
  const creation = grantSql(
    rights.flatMap((right) => right.creation),
    principal,
  )
  return [
    ...[...containers, ...volumes].flatMap((sql) => [sql, '']),
    ...[...tables].flatMap((sql) => [sql, '']),
    ...grants,
    '',
    ...(creates || creation.length === 0
      ? []
      : [
          '-- Only for tailrace check --write, which makes a scratch table; revoke it afterwards:',
          ...creation.map((sql) => `-- ${sql}`),
          '',
        ]),
  ]
}

/** The tables that a run would create, so that it needs no right to. */
function tableStatements(target: DatabricksTarget): readonly string[] {
  const { sink, table } = target
  if (sink.mode === 'stage-only')
    return [streamingTableSql(table, { layout: sink.layout, folder: stagingFolderOf(target) ?? '' })]
  const lands = prefersTransactions(sink)
  const properties = createdProperties(sink)
  return [
    ...(lands
      ? [
          `-- Without the preview of catalog-managed commits, leave out 'delta.feature.catalogManaged' of ${qualifiedName(table.name)},\n-- and the offsets table: rows then land by mode replace-where.\n${createTableSql(table, { layout: sink.layout, properties })}`,
          createOffsetsSql({ ...table.name, table: 'tailrace_offsets' }),
        ]
      : [createTableSql(table, { layout: sink.layout, properties })]),
    ...(sink.mode === 'zerobus' ? [rowsOnceSql(table.name)] : []),
  ]
}
