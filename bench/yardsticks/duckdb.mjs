/**
 * Runs a SQL file by DuckDB alone, on 2 threads. Nothing of Tailrace is loaded.
 *
 *   node bench/yardsticks/duckdb.mjs SQL-FILE INPUT DIRECTORY
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'

const [sqlFile, input, directory] = process.argv.slice(2)
const instance = await DuckDBInstance.create(':memory:', { threads: '2' })
const connection = await instance.connect()
await connection.run('SET VARIABLE input = $1', [input])
await connection.run('SET VARIABLE output = $1', [join(directory, 'lines.parquet')])
await connection.run(readFileSync(sqlFile, 'utf8'))
connection.closeSync()
instance.closeSync()
