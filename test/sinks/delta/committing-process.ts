/**
 * A process that lands one small batch after another until it is killed:
 * `committing-process.ts TABLE STAGING BLOB COUNT [STEP]`.
 *
 * TABLE is a directory, or a folder of the container `logs` of the account in TEST_CONNECTION_STRING. With a STEP
 * (`before-commit`, `after-commit`) it kills itself there, in its second batch.
 */

import { mkdtemp } from 'node:fs/promises'
import { join } from 'node:path'
import { BlobServiceClient } from '@azure/storage-blob'
import { systemClock } from '../../../src/clock.ts'
import { DeltaCommitter } from '../../../src/sinks/delta/committer.ts'
import { AzureDeltaStorage } from '../../../src/sinks/delta/storage/azure.ts'
import type { DeltaStorage } from '../../../src/sinks/delta/storage/delta-storage.ts'
import { LocalDeltaStorage } from '../../../src/sinks/delta/storage/local.ts'
import { EmbeddedEngine } from '../../../src/sinks/encoding/engine.ts'
import { containerName } from '../../support/storage.ts'
import { columns, encode, span } from './support.ts'

function storageOf(table: string, downloadDirectory: string): DeltaStorage {
  const { TEST_CONNECTION_STRING: connectionString } = process.env
  if (connectionString === undefined) return new LocalDeltaStorage(table)
  const service = BlobServiceClient.fromConnectionString(connectionString, { retryOptions: { maxTries: 1 } })
  const container = service.getContainerClient(containerName)
  return new AzureDeltaStorage({ container, folder: table, downloadDirectory })
}

/** Dies at a step of the second batch: the first creation is the table's or its first batch. */
function dyingAt(step: string | undefined, storage: DeltaStorage): DeltaStorage {
  const inner = storage.putIfAbsent.bind(storage)
  let batches = 0
  storage.putIfAbsent = async (path, bytes) => {
    if (bytes.includes('STREAMING UPDATE')) batches += 1
    if (batches === 2 && step === 'before-commit') process.kill(process.pid, 'SIGKILL')
    const outcome = await inner(path, bytes)
    if (batches === 2 && step === 'after-commit') process.kill(process.pid, 'SIGKILL')
    return outcome
  }
  return storage
}

async function main(
  table: string,
  stagingRoot: string,
  blob: string,
  count: number,
  step?: string,
): Promise<void> {
  const staging = await mkdtemp(join(stagingRoot, 'process-'))
  const engine = await EmbeddedEngine.open({ threads: 1, temporaryDirectory: join(staging, 'spill') })
  const committer = new DeltaCommitter({
    storage: dyingAt(step, storageOf(table, staging)),
    engine,
    columns,
    partitionColumns: ['event_date'],
    tableName: 'test',
    stagingDirectory: staging,
    clock: systemClock,
  })
  await committer.open()
  for (let landed = 0; landed < count; landed += 1) {
    const [known] = [...committer.landed()].filter((offset) => offset.blob === blob)
    const start = known?.offset ?? 0
    const source = span(blob, start, start + 10)
    const { tableVersion } = await committer.land(
      [source],
      await encode({ staging, engine }, source, [{ offset: start, seed: start }]),
    )
    process.stdout.write(`${tableVersion}\n`)
  }
  await committer.close()
  await engine.close()
}

const [table, staging, blob, count, step] = process.argv.slice(2)
void main(table!, staging!, blob!, Number(count), step)
