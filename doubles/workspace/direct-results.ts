import types from '@databricks/sql/thrift/TCLIService_types.js'
import {
  fetchedRows,
  operationStatus,
  type PresignUrl,
  resultMetadata,
  success,
} from './operation-replies.ts'
import type { StatementOperation } from './statement-operation.ts'

/**
 * An ended statement's state and first rows, for ExecuteStatement's own reply.
 *
 * @returns with `closeOperation` when nothing is left to fetch: then the operation is closed, as on a real warehouse
 */
export function directResults(
  operation: StatementOperation,
  maxRows: number,
  presign: PresignUrl,
): InstanceType<typeof types.TSparkDirectResults> {
  const status = operationStatus(operation, operation.state)
  const closeOperation = new types.TCloseOperationResp({ status: success })
  if (operation.result === undefined) {
    return new types.TSparkDirectResults({ operationStatus: status, closeOperation })
  }
  const resultSetMetadata = resultMetadata(operation)
  if (status.hasResultSet === false) {
    return new types.TSparkDirectResults({ operationStatus: status, resultSetMetadata, closeOperation })
  }
  const resultSet = fetchedRows(operation, maxRows, presign)
  return new types.TSparkDirectResults({
    operationStatus: status,
    resultSetMetadata,
    resultSet,
    ...(resultSet.hasMoreRows ? {} : { closeOperation }),
  })
}
