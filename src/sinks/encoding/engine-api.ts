import { createRequire } from 'node:module'
import type * as Api from '@duckdb/node-api'

// Imported as an ES module, the names of its 180 CommonJS modules are searched for in their texts, which takes longer than
// to load them.
const api = createRequire(import.meta.url)('@duckdb/node-api') as typeof Api

/** Opens an instance of the engine. */
export const createInstance: typeof Api.DuckDBInstance.create = (...options) =>
  api.DuckDBInstance.create(...options)

export const ResultReturnType: typeof Api.ResultReturnType = api.ResultReturnType
export const StatementType: typeof Api.StatementType = api.StatementType
