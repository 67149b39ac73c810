import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { pathToFileURL } from 'node:url'
import { isTailraceError } from '../../../src/errors.ts'
import { lockState } from '../../../src/sinks/databricks/state-lock.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

const isLocked = (error: unknown): boolean => isTailraceError(error, 'STATE_LOCKED')

/** A process of its own that holds the lock until it is killed. */
async function holder(t: TestContext, directory: string, share: 'alone' | 'shared') {
  const lock = pathToFileURL(join(import.meta.dirname, '../../../src/sinks/databricks/state-lock.ts')).href
  const code = `import { lockState } from ${JSON.stringify(lock)}
    await lockState(${JSON.stringify(directory)}, 'primary', '${share}')
    process.stdout.write('held')
    setInterval(() => {}, 1000)`
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '--eval', code])
  t.after(() => child.kill('SIGKILL'))
  const [output] = await once(child.stdout, 'data')
  assert.equal(String(output), 'held')
  return child
}

test('one process at a time has the lock, and a killed one gives it back', async (t) => {
  const directory = await temporaryDirectory(t)
  const child = await holder(t, directory, 'alone')
  await assert.rejects(lockState(directory, 'primary', 'alone'), isLocked)
  ;(await lockState(directory, 'replica', 'alone')).release()
  const ended = once(child, 'exit')
  child.kill('SIGKILL')
  await ended
  ;(await lockState(directory, 'primary', 'alone')).release()
})

test('a process cannot have the lock twice, and its second try does not end the first hold', async (t) => {
  const directory = await temporaryDirectory(t)
  const held = await lockState(directory, 'primary', 'alone')
  await assert.rejects(lockState(directory, 'primary', 'alone'), isLocked)
  held.release()
  ;(await lockState(directory, 'primary', 'alone')).release()
})

test('processes that share the lock run beside each other, and keep out one that has to be alone until the last has ended', async (t) => {
  const directory = await temporaryDirectory(t)
  const child = await holder(t, directory, 'shared')
  const [first, second] = await Promise.all([
    lockState(directory, 'primary', 'shared'),
    lockState(directory, 'primary', 'shared'),
  ])
  await assert.rejects(lockState(directory, 'primary', 'alone'), isLocked)
  const ended = once(child, 'exit')
  child.kill('SIGKILL')
  await ended
  first.release()
  await assert.rejects(lockState(directory, 'primary', 'alone'), isLocked)
  second.release()
  const alone = await lockState(directory, 'primary', 'alone')
  await assert.rejects(lockState(directory, 'primary', 'shared'), isLocked)
  alone.release()
})

test('the remains of a process that was killed while it made the lock file do not prevent the next lock', async (t) => {
  const directory = await temporaryDirectory(t)
  const path = join(directory, 'primary.lock')
  for (const bytes of [0, 1, 4096]) {
    await writeFile(path, Buffer.alloc(bytes))
    ;(await lockState(directory, 'primary', bytes === 1 ? 'shared' : 'alone')).release()
    assert.ok((await readFile(path)).length > 4096)
  }
})

test('a file system without locks is reported with the path', async (t) => {
  const directory = await temporaryDirectory(t)
  await writeFile(join(directory, 'state'), '')
  await assert.rejects(lockState(join(directory, 'state'), 'primary', 'alone'))
})
