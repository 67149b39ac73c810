/**
 * What a value is by the key that holds it, in any producer's records: a name, time or number of the server's that
 * stays, a statement, values alone, a line of a log file, or other text of the server's.
 */
export type KeyRule = 'kept' | 'statement' | 'values' | 'row' | 'line' | 'detail' | 'text'

/** Keys that columns are filled from, but for the texts. Written without case, blanks and underscores. */
const kept = new Set(
  `timestamp time eventtime logtime ts tsms date asctime timegenerated starttime endtime receivetimestamp
  user username userid usename db dbname datname dbid database databasename catalog
  pid processid leaderpid remotehost remoteport host hostname clienthost clientaddr clientip connectionfrom
  sessionid linenum sessionlinenum ps commandtag cmdtag command sessionstart sessionstarttime
  vxid virtualtransactionid txid xid transactionid lsn nextlsn
  severity errorseverity errorlevel level levelname statecode sqlstatecode sqlstate sqlerrcode
  app appname applicationname backendtype queryid queryidstr
  category operationname resourceid logicalservername servername replicarole location prefix
  auditclass audittype class objecttype objectname statementid substatementid databasesessionid chunkcount chunkindex
  action op kind schema schemaname table tablename columnname columnnames columntypes datatypename
  logger loggername loggingpod logname stream source instanceid databaseid`.split(/\s+/),
)

const values = new Set(
  'parameter parameters param params bind binds bindvalues bindparameters queryparameters columnvalues keyvalues content'.split(
    ' ',
  ),
)

/** Keys whose object is a row: its keys are the columns' names. */
const rows = new Set(['before', 'after'])

/** Keys under which shippers put a line of a log file. */
const lines = new Set('log message msg logmessage logentry textpayload body original data'.split(' '))

const statement = /(?:query|statement|sql)(?:text|string|sample|sqltext)?$/

/** What a key says. */
export interface KeyMeaning {
  /** The last name of the key without case, separators and the type that Log Analytics appends. */
  readonly name: string
  readonly rule: KeyRule
}

// Producers use a few hundred keys. Data may hold any number of others, which are not worth remembering.
const maxRemembered = 2_000
const remembered = new Map<string, KeyMeaning>()

/** @returns the meaning of a key; flattened records write `audit.statement` where others nest */
export function meaningOf(key: string): KeyMeaning {
  const known = remembered.get(key)
  if (known !== undefined) return known
  const name = key
    .slice(key.lastIndexOf('.') + 1)
    .replace(/_[sdgtb]$/, '')
    .replaceAll(/[\s_@-]/g, '')
    .toLowerCase()
  const meaning = { name, rule: ruleOf(name) }
  if (remembered.size < maxRemembered && key.length < 100) remembered.set(key, meaning)
  return meaning
}

function ruleOf(name: string): KeyRule {
  if (kept.has(name)) return 'kept'
  if (values.has(name)) return 'values'
  if (rows.has(name)) return 'row'
  if (lines.has(name)) return 'line'
  if (name === 'detail') return 'detail'
  return statement.test(name) ? 'statement' : 'text'
}
