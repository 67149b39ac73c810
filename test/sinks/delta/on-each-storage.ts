import { randomUUID } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import type { ContainerClient } from '@azure/storage-blob'
import { type Clock, systemClock } from '../../../src/clock.ts'
import { AzureDeltaStorage, type AzureDeltaStorageOptions } from '../../../src/sinks/delta/storage/azure.ts'
import { sharedHooks } from '../../support/shared-hooks.ts'
import { openStorage, type TestStorage } from '../../support/storage.ts'
import { type PlaceTable, placeLocally, type Workbench, workbench } from './support.ts'

/** Time as it is, without pauses between attempts. */
export const hurriedClock: Clock = {
  ...systemClock,
  sleep: () => new Promise((resolve) => setImmediate(resolve)),
}

let started: Promise<TestStorage> | undefined

/** One emulator for the tests of a file, which calls {@link stopSharedStorage} while it loads. */
export function sharedStorage(): Promise<TestStorage> {
  started ??= openStorage()
  return started
}

/** Stops the emulator after the tests of the calling file; within a test it would stop after that test. */
export function stopSharedStorage(): void {
  sharedHooks().after(async () => {
    const storage = started
    started = undefined
    await (await storage)?.stop()
  })
}

/** Puts a table into a folder of its own in a container. */
export function placeInAzure(
  container: ContainerClient,
  options: Partial<AzureDeltaStorageOptions> = {},
): PlaceTable {
  return (directory) => {
    const downloadDirectory = join(directory, 'downloads')
    mkdirSync(downloadDirectory)
    const folder = `tables/${randomUUID()}`
    const retry = { clock: hurriedClock, policy: { maxAttempts: 100 } }
    return {
      table: folder,
      storage: new AzureDeltaStorage({ container, folder, downloadDirectory, retry, ...options }),
      dataFiles: async () => {
        const names: string[] = []
        for await (const { name } of container.listBlobsFlat({ prefix: `${folder}/` })) {
          names.push(name.slice(folder.length + 1))
        }
        return names.filter((name) => !name.startsWith('_delta_log/')).sort()
      },
    }
  }
}

/** Registers a test twice: on a table in a directory, and on one in Azure. */
export function onEachStorage(
  name: string,
  body: (bench: Workbench, t: TestContext, anew: () => Promise<Workbench>) => Promise<void>,
): void {
  const places: [where: string, place: () => Promise<PlaceTable>][] = [
    ['in a directory', async () => placeLocally],
    ['in Azure', async () => placeInAzure((await sharedStorage()).container)],
  ]
  stopSharedStorage()
  for (const [where, place] of places) {
    test(`${where}, ${name}`, async (t) => {
      const anew = async () => workbench(t, await place())
      await body(await anew(), t, anew)
    })
  }
}
