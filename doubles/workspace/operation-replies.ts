import types from '@databricks/sql/thrift/TCLIService_types.js'
import { columnSet, type ResultColumn, tableSchema } from './column-set.ts'
import { InvalidHandle } from './refusals.ts'
import type { StatementOperation } from './statement-operation.ts'
import type { StagingRequest, StatementResult, Value } from './warehouse-engine.ts'
import type { StatementState } from './workspace-log.ts'

export const success = new types.TStatus({ statusCode: types.TStatusCode.SUCCESS_STATUS })

const states: Readonly<Record<StatementState, number>> = {
  RUNNING: types.TOperationState.RUNNING_STATE,
  FINISHED: types.TOperationState.FINISHED_STATE,
  ERROR: types.TOperationState.ERROR_STATE,
  CANCELED: types.TOperationState.CANCELED_STATE,
  CLOSED: types.TOperationState.CLOSED_STATE,
  TIMEDOUT: types.TOperationState.TIMEDOUT_STATE,
}

/** How the warehouse makes the URL that a staging statement is answered with. */
export type PresignUrl = (request: StagingRequest) => string

/** The reply to GetOperationStatus. The display message is that of the failure; the other one is wrapped like Spark's. */
export function operationStatus(
  { failure, result }: StatementOperation,
  state: StatementState,
): InstanceType<typeof types.TGetOperationStatusResp> {
  return new types.TGetOperationStatusResp({
    status: success,
    operationState: states[state],
    // Without this flag, the driver fetches rows of a result without columns forever.
    ...(result === undefined ? {} : { hasResultSet: result.kind === 'staging' || result.columns.length > 0 }),
    ...(failure === undefined
      ? {}
      : {
          sqlState: failure.sqlState,
          errorCode: 0,
          errorMessage: `org.apache.hive.service.cli.HiveSQLException: Error running query: [${failure.errorClass}] org.apache.spark.SparkException: ${failure.message}`,
          displayMessage: failure.message,
        }),
  })
}

/** @throws InvalidHandle when the statement has no result */
export function resultMetadata(
  operation: StatementOperation,
): InstanceType<typeof types.TGetResultSetMetadataResp> {
  const result = resultOf(operation)
  return new types.TGetResultSetMetadataResp({
    status: success,
    schema: tableSchema(result.kind === 'staging' ? stagingColumns(result) : result.columns),
    resultFormat: types.TSparkRowSetType.COLUMN_BASED_SET,
    lz4Compressed: false,
    isStagingOperation: result.kind === 'staging',
  })
}

/** The next rows, at most `maxRows` of them; the one row of a staging statement has a new URL. */
export function fetchedRows(
  operation: StatementOperation,
  maxRows: number,
  presign: PresignUrl,
): InstanceType<typeof types.TFetchResultsResp> {
  const result = resultOf(operation)
  const columns = result.kind === 'staging' ? stagingColumns(result) : result.columns
  const rows = result.kind === 'staging' ? [stagingRow(result, presign)] : result.rows
  const start = operation.take(maxRows)
  return new types.TFetchResultsResp({
    status: success,
    hasMoreRows: start + maxRows < rows.length,
    results: columnSet(columns, rows.slice(start, start + maxRows), start),
  })
}

function resultOf({ id, result }: StatementOperation): StatementResult {
  if (result === undefined) throw new InvalidHandle(`The operation ${id} has no result.`)
  return result
}

/** The driver takes a null for a path and fails, so a statement without a local file has no column for one. */
function stagingColumns({ localFile }: StagingRequest): readonly ResultColumn[] {
  return [
    { name: 'operation', type: 'STRING' },
    { name: 'presignedUrl', type: 'STRING' },
    { name: 'headers', type: 'MAP' },
    ...(localFile === undefined ? [] : [{ name: 'localFile', type: 'STRING' } as const]),
  ]
}

function stagingRow(request: StagingRequest, presign: PresignUrl): readonly Value[] {
  const headers = request.operation === 'PUT' ? { 'x-ms-blob-type': 'BlockBlob' } : {}
  const row = [request.operation, presign(request), JSON.stringify(headers)]
  return request.localFile === undefined ? row : [...row, request.localFile]
}
