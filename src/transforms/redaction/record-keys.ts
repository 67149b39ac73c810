/**
 * The treatment of a value by its key, in the records of any producer: kept (a name, time or number of the server), a
 * statement, values only, a row, a line of a log file, or other text of the server.
 */
export type KeyRule = 'kept' | 'statement' | 'values' | 'row' | 'line' | 'detail' | 'text'

/** Keys of columns other than texts. Lower case, without blanks and underscores. */
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
  committimestamp commitlsn commitidx streamposition recordtype operation partitionkeytype idempotencykey tableschema
  action op kind schema schemaname table tablename columnname columnnames columntypes datatypename
  logger loggername loggingpod logname stream source instanceid databaseid`.split(/\s+/),
)

const values = new Set(
  `parameter parameters param params bind binds bindvalues bindparameters bindvariables bindings args arguments
  queryparameters queryparams queryargs queryarguments statementparameters sqlparameters sqlparams
  columnvalues keyvalues content partitionkeyvalue transactionannotations enrichment csvlogrest`.split(/\s+/),
)

/** OpenTelemetry's keys of parameters, which end with the name or number of one. */
const parameterKey = /^db\.(?:query|statement|operation)\.parameters?\b/

/** Keys whose object is a row: its keys are the columns' names. */
const rows = new Set(
  'before after new old row newrow oldrow newrecord oldrecord beforeimage afterimage'.split(' '),
)

/** Keys under which shippers put a line of a log file. */
const lines = new Set(
  'log message msg logmessage logentry textpayload body original data fullmessage shortmessage raw line event'.split(
    ' ',
  ),
)

const statement = /(?:query|statement|sql)(?:text|string|sample|sqltext)?$/

/** A key and the treatment of its value. */
export interface KeyMeaning {
  /** The last name of the key without case, separators and the type that Log Analytics appends. */
  readonly name: string
  readonly rule: KeyRule
}

// Producers use a few hundred keys. Data may contain any number of others, so the cache is bounded.
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
  const meaning = { name, rule: parameterKey.test(key) ? 'values' : ruleOf(name) } as const
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
