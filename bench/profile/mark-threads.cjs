/**
 * Loaded before anything else of a profiled process (`node --require …`): writes which threads it has for what to the
 * directory that TAILRACE_BENCH_THREADS names. The names of Node's threads do not tell.
 */
const { readdirSync, readlinkSync, stat, writeFileSync } = require('node:fs')
const { join } = require('node:path')
const { isMainThread } = require('node:worker_threads')

const directory = process.env.TAILRACE_BENCH_THREADS
const write = (name, ids) => writeFileSync(join(directory, name), JSON.stringify(ids))

if (directory !== undefined && isMainThread) {
  const threads = () => readdirSync('/proc/self/task').map(Number)
  const runtime = threads()
  write('runtime', runtime)
  // The first asynchronous call of this kind starts all threads of libuv's pool.
  stat('/proc/self', () =>
    write(
      'pool',
      threads().filter((id) => !runtime.includes(id)),
    ),
  )
} else if (directory !== undefined) {
  const id = Number(readlinkSync('/proc/thread-self').split('/').at(-1))
  write(`worker-${id}`, [id])
}
