import types from '@databricks/sql/thrift/TCLIService_types.js'

/** The RPC's own reply with nothing but an error status. */
export function errorReply(rpc: string, errorMessage: string): object {
  const status = new types.TStatus({ statusCode: types.TStatusCode.ERROR_STATUS, errorCode: 0, errorMessage })
  switch (rpc) {
    case 'OpenSession':
      return new types.TOpenSessionResp({ status } as never)
    case 'CloseSession':
      return new types.TCloseSessionResp({ status })
    case 'ExecuteStatement':
      return new types.TExecuteStatementResp({ status })
    case 'GetOperationStatus':
      return new types.TGetOperationStatusResp({ status })
    case 'GetResultSetMetadata':
      return new types.TGetResultSetMetadataResp({ status })
    case 'FetchResults':
      return new types.TFetchResultsResp({ status })
    case 'CloseOperation':
      return new types.TCloseOperationResp({ status })
    default:
      return new types.TCancelOperationResp({ status })
  }
}
