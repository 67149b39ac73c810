import assert from 'node:assert/strict'
import { mkdirSync } from 'node:fs'
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import fc from 'fast-check'
import { TailraceError } from '../../src/errors.ts'
import {
  makeDirectory,
  requireWritable,
  withStateErrors,
  writeDurably,
} from '../../src/offsets/state-files.ts'
import { type FileCall, systemError, watchFileCalls } from '../support/faults/file-calls.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

/** Makes the calls that `code` names fail with it; the others are made. */
async function failing(t: TestContext, codeOf: (call: FileCall) => string | undefined): Promise<() => void> {
  return watchFileCalls(t, {
    before: (call) => {
      const code = codeOf(call)
      if (code !== undefined) throw systemError(code, call)
      return undefined
    },
  })
}

const throwing = (error: unknown) => (): Promise<never> => Promise.reject(error)
const withCode = (code: string, path?: string) =>
  Object.assign(new Error(code), path === undefined ? { code } : { code, path })

test('an error of the file system has a code, the path, and the reason in words where one is known', async () => {
  const reasons = {
    ENOTDIR: 'a part of the path is a file, not a directory (ENOTDIR)',
    EEXIST: 'it is a file, not a directory (EEXIST)',
    EACCES: 'the process has no permission (EACCES)',
    EPERM: 'the process has no permission (EPERM)',
    EROFS: 'the file system is read-only (EROFS)',
    ENOENT: 'it, or a directory above it, does not exist (ENOENT)',
    EIO: 'EIO',
    ERR_FS_EISDIR: 'ERR_FS_EISDIR',
  }
  for (const [reason, why] of Object.entries(reasons)) {
    const cause = withCode(reason, '/state/a')
    await assert.rejects(withStateErrors('/state', throwing(cause)), {
      code: 'DIRECTORY_UNUSABLE',
      message: `/state/a cannot be used: ${why}.`,
      context: { reason },
      cause,
    })
    await assert.rejects(withStateErrors('/state', throwing(withCode(reason))), {
      message: `/state cannot be used: ${why}.`,
    })
  }
})

test('a volume without room, or a used up quota, is DISK_FULL with the path', async () => {
  for (const reason of ['ENOSPC', 'EDQUOT']) {
    const cause = withCode(reason, '/state/a')
    await assert.rejects(withStateErrors('/state', throwing(cause)), {
      code: 'DISK_FULL',
      message: 'No space left to write /state/a.',
      context: { reason },
      cause,
    })
  }
})

test('what is no error of the file system passes as it is, and so does a result', async () => {
  const others = [
    new TailraceError('SPAN_GAP', 'a gap'),
    Object.assign(new TailraceError('SPAN_GAP', 'a gap'), { code: 'EIO' }),
    new TypeError('a bug'),
    withCode('ERR_INVALID_ARG_TYPE'),
    withCode('MY_EIO'),
    withCode('EIO7'),
    withCode('ERR_FS_'),
    'no error at all',
    { code: 'EIO' },
  ]
  for (const error of others)
    await assert.rejects(withStateErrors('/state', throwing(error)), (found) => found === error)
  assert.equal(await withStateErrors('/state', async () => 7), 7)
})

test('a directory is made with its parents, and again, also where an existing one is said to be refused', async (t) => {
  const directory = await temporaryDirectory(t)
  const path = join(directory, 'a', 'b', 'c')
  for (const _ of ['once', 'again']) await makeDirectory(path)
  assert.deepEqual(await readdir(directory, { recursive: true }), ['a', 'a/b', 'a/b/c'])
  for (const code of ['EROFS', 'EACCES']) {
    const stop = await failing(t, ({ name }) => (name === 'mkdir' ? code : undefined))
    await makeDirectory(path)
    await assert.rejects(makeDirectory(join(path, 'd')), { code })
    stop()
  }
})

test('a directory that another process makes meanwhile is made', async (t) => {
  const path = join(await temporaryDirectory(t), 'a', 'b')
  let calls = 0
  const stop = await watchFileCalls(t, {
    before: (call) => {
      if (call.name === 'mkdir' && call.path === path && ++calls === 2) mkdirSync(path)
      return undefined
    },
  })
  await makeDirectory(path)
  stop()
  assert.equal(calls, 2)
  assert.ok((await stat(path)).isDirectory())
})

test('a directory whose parents were made and that is refused then is refused', async (t) => {
  const path = join(await temporaryDirectory(t), 'a', 'b')
  let calls = 0
  const stop = await failing(t, (call) =>
    call.name === 'mkdir' && call.path === path && ++calls === 2 ? 'ENOSPC' : undefined,
  )
  await assert.rejects(makeDirectory(path), { code: 'ENOSPC' })
  stop()
})

test('a file where a directory is to be made is refused with the code of the system', async (t) => {
  const plain = join(await temporaryDirectory(t), 'plain')
  await writeFile(plain, '')
  await assert.rejects(makeDirectory(plain), { code: 'EEXIST' })
  await assert.rejects(makeDirectory(join(plain, 'below')), { code: 'ENOTDIR' })
  const stop = await failing(t, ({ name }) => (name === 'mkdir' ? 'EROFS' : undefined))
  await assert.rejects(makeDirectory(join(plain, 'below')), { code: 'EROFS' })
  stop()
})

test('a directory below a root that does not exist is refused', async (t) => {
  const stop = await failing(t, ({ name }) => (name === 'mkdir' || name === 'stat' ? 'ENOENT' : undefined))
  await assert.rejects(makeDirectory('/a/b'), { code: 'ENOENT' })
  await assert.rejects(requireWritable('/a/b'), { code: 'ENOENT' })
  stop()
})

test('a directory is writable if it, or the nearest one that exists, may be written, and nothing is made', async (t) => {
  const directory = await temporaryDirectory(t)
  const inner = join(directory, 'inner')
  await mkdir(inner)
  await requireWritable(inner)
  await requireWritable(join(inner, 'a', 'b'))
  assert.deepEqual(await readdir(directory, { recursive: true }), ['inner'])
  const stop = await failing(t, ({ name, path }) =>
    name === 'access' && path === inner ? 'EACCES' : undefined,
  )
  for (const path of [inner, join(inner, 'a', 'b')])
    await assert.rejects(requireWritable(path), { code: 'EACCES', path: inner })
  await requireWritable(directory)
  stop()
})

test('a directory is not writable where a file stands, or where it cannot be inspected', async (t) => {
  const directory = await temporaryDirectory(t)
  const plain = join(directory, 'plain')
  await writeFile(plain, '')
  await assert.rejects(requireWritable(plain), { code: 'ENOTDIR', path: plain, message: 'not a directory' })
  await assert.rejects(requireWritable(join(plain, 'below')), { code: 'ENOTDIR' })
  const stop = await failing(t, ({ name, path }) =>
    name === 'stat' && path === directory ? 'EMFILE' : undefined,
  )
  await assert.rejects(requireWritable(directory), { code: 'EMFILE' })
  await assert.rejects(makeDirectory(directory), { code: 'EMFILE' }, 'it is not reported as a file')
  stop()
})

test('a file that is written is on disk before it takes its name, and its name before the write is done', async (t) => {
  const path = join(await temporaryDirectory(t), 'file')
  await fc.assert(
    fc.asyncProperty(fc.string({ unit: 'binary', maxLength: 40 }), async (text) => {
      const steps: string[] = []
      const stop = await watchFileCalls(t, {
        after: (call) => {
          const what = call.path === path ? 'file' : call.path === dirname(path) ? 'folder' : 'temporary'
          steps.push(`${call.name} ${what}`)
        },
      })
      await writeDurably(path, text)
      stop()
      assert.equal(await readFile(path, 'utf8'), Buffer.from(text).toString())
      assert.deepEqual(steps, [
        'open temporary',
        'file.writeFile temporary',
        'file.sync temporary',
        'file.close temporary',
        'rename file',
        'open folder',
        'file.sync folder',
        'file.close folder',
      ])
    }),
    { numRuns: 20 },
  )
})

test('a write that fails at any call leaves the old or the new content, no other file, and no open one', async (t) => {
  const directory = await temporaryDirectory(t)
  const path = join(directory, 'file')
  const calls = [
    'open',
    'file.writeFile',
    'file.sync',
    'file.close',
    'rename',
    'open',
    'file.sync',
    'file.close',
  ]
  for (const [index, name] of calls.entries()) {
    await writeDurably(path, 'old')
    const made: string[] = []
    const stop = await watchFileCalls(t, {
      before: (call) => {
        made.push(call.name)
        if (made.length === index + 1) throw systemError('EIO', call)
        return undefined
      },
    })
    await assert.rejects(writeDurably(path, 'new'), { code: 'EIO' }, name)
    stop()
    assert.equal(made[index], name)
    assert.equal(await readFile(path, 'utf8'), index > calls.indexOf('rename') ? 'new' : 'old', name)
    assert.deepEqual(await readdir(directory), ['file'], name)
    const opened = made.filter((call) => call === 'open').length - (name === 'open' ? 1 : 0)
    assert.equal(made.filter((call) => call === 'file.close').length, opened, name)
  }
})
