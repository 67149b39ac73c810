import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { SqlFailure } from '../../../../doubles/workspace/warehouse-engine.ts'
import { isTailraceError, type TailraceError } from '../../../../src/errors.ts'
import type { Statement } from '../../../../src/sinks/databricks/warehouse/warehouse.ts'
import { temporaryDirectory } from '../../../support/temporary-directory.ts'
import { warehouseUnderTest } from '../warehouse-under-test.ts'

const select: Statement = { label: 'ask', sql: 'SELECT 1', repeatable: true }

test('the object of a missing right is named, and no other quoted text', async (t) => {
  const { warehouse, engine } = await warehouseUnderTest(t)
  engine.on(/^SELECT/, () => {
    throw new SqlFailure(
      'INSUFFICIENT_PERMISSIONS',
      '42501',
      "Insufficient privileges: User does not have MODIFY on Table 'lake.logs.pg'. The value is 'secret-value'.",
    )
  })
  const error = await failureOf(warehouse.execute(select))
  assert.equal(error.code, 'WAREHOUSE_DENIED')
  assert.match(error.message, /MODIFY on Table `lake\.logs\.pg`/)
  assert.doesNotMatch(error.message, /secret-value/)
})

test('a session refused without CAN USE is told from a refused token, with the warehouse', async (t) => {
  const { warehouse, workspace, retries } = await warehouseUnderTest(t)
  const message = 'PERMISSION_DENIED: You do not have permission to use the SQL Warehouse.'
  workspace.faults.add({
    rpc: 'OpenSession',
    fault: { kind: 'status', status: 403, errorCode: 'PERMISSION_DENIED', message },
    times: 9,
  })
  const error = await failureOf(warehouse.execute(select))
  assert.equal(error.code, 'WAREHOUSE_DENIED')
  assert.match(error.message, /lacks CAN USE on the SQL warehouse 0123456789abcdef of 127\.0\.0\.1/)
  assert.doesNotMatch(error.message, /token/)
  assert.equal(retries.length, 0)
})

test('a warehouse that does not exist is named with the option that has its path', async (t) => {
  const { warehouse, retries } = await warehouseUnderTest(t, {
    way: { httpPath: '/sql/1.0/warehouses/fedcba9876543210' },
  })
  const error = await failureOf(warehouse.execute(select))
  assert.equal(error.code, 'WAREHOUSE_MISSING')
  assert.match(error.message, /has no SQL warehouse fedcba9876543210: .*sink\.httpPath/)
  assert.equal(retries.length, 0)
})

test('an upload that a storage firewall refuses or drops names the host of the storage', async (t) => {
  const { warehouse, engine, workspace, retries } = await warehouseUnderTest(t)
  const directory = await temporaryDirectory(t)
  const path = join(directory, 'a.parquet')
  await writeFile(path, 'rows')
  const volumePath = '/Volumes/c/s/v/a.parquet'
  engine.on(/^PUT/, () => ({ kind: 'staging', operation: 'PUT', localFile: path, volumePath }))
  const put = { label: 'upload a file', sql: `PUT '${path}'`, repeatable: true, uploadsFrom: directory }
  const route = /^PUT \/staging/
  const refusal = { kind: 'status', status: 403, errorCode: 'AuthorizationFailure' } as const
  workspace.faults.add({ route, fault: refusal })
  const refused = await failureOf(warehouse.execute(put))
  assert.equal(refused.code, 'WAREHOUSE_DENIED')
  assert.match(
    refused.message,
    /storage localhost refused a staged file: HTTP status 403.*firewall.*files-api/,
  )
  workspace.faults.add({ route, fault: { kind: 'drop-before' } })
  await warehouse.execute(put)
  assert.match(String(retries[0]?.error), /storage localhost does not answer: .*firewall/)
})

async function failureOf(work: Promise<unknown>): Promise<TailraceError> {
  const error = await work.then(
    () => undefined,
    (failure: unknown) => failure,
  )
  assert.ok(isTailraceError(error), String(error))
  return error
}
