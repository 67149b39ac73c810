import { createRequire } from 'node:module'
import type * as Api from '@duckdb/node-api'

// Imported as an ES module, the names of its 180 CommonJS modules are searched for in their texts, which takes longer than
// to load them.
const api = createRequire(import.meta.url)('@duckdb/node-api') as typeof Api

export const DuckDBInstance: typeof Api.DuckDBInstance = api.DuckDBInstance
export type DuckDBInstance = Api.DuckDBInstance
export const ResultReturnType: typeof Api.ResultReturnType = api.ResultReturnType
export const StatementType: typeof Api.StatementType = api.StatementType
