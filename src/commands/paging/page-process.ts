// The process in which `tailrace start` has the page served, apart from the process that tails: a query takes neither its
// memory nor its time. It gets the connections that the other one accepts, and ends with it.
import type { Socket } from 'node:net'
import { pageSchema } from '../../config/schema.ts'
import { maxConnections } from '../../page/page-address.ts'
import { openContext } from '../open-context.ts'
import type { PageProcessFlags } from '../starting/page-door.ts'
import { lowerPriority } from './low-priority.ts'
import { openPage } from './open-page.ts'

/** Without a connection for this time, the process ends; the next connection starts it again. */
const maxIdleMs = 120_000

const { pipeline, ...flags } = JSON.parse(process.argv[2] ?? '{}') as PageProcessFlags

// Ctrl-C reaches the whole group; the process that tails decides when the page ends.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {})

const waiting: Socket[] = []
let attach = (socket: Socket): void => void waiting.push(socket)
const open = new Set<Socket>()
let idleSinceMs = Date.now()

process.on('message', (_message, socket) => {
  if (socket === undefined) return
  const connection = socket as Socket
  if (open.size >= maxConnections) {
    connection.destroy()
    return
  }
  open.add(connection)
  connection.once('close', () => {
    open.delete(connection)
    idleSinceMs = Date.now()
  })
  attach(connection)
})

const context = await openContext({ ...flags, quiet: true })
const settings = context.config.page === false ? pageSchema.parse({}) : context.config.page
const page = await openPage(context, pipeline, settings)
// Only now: beside a busy run, a process of this priority would start for half a minute.
lowerPriority()
attach = (socket) => page.server.attach(socket)
for (const socket of waiting) attach(socket)

const idling = setInterval(() => {
  // The other process sends no more connections after this, and then lets this one end.
  if (open.size === 0 && Date.now() - idleSinceMs >= maxIdleMs) process.send?.('idle')
}, 1_000)

process.once('disconnect', () => {
  clearInterval(idling)
  void page.close().finally(() => process.exit())
})
if (!process.connected) process.exit()
