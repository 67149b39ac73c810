import { hourMs, hourPath } from '../../src/sources/discovery/azure-monitor-layout.ts'
import type { GrowingBlob, GrowingBlobs } from './virtual-container.ts'

const minuteMs = 60_000

/** The resource group of the servers. */
export const fleetGroup = '/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/bench'

/**
 * The hours of servers of Azure Monitor that write a line a minute each, for some minutes after an hour's end too. Names are
 * made when they are asked for: the process that follows them is to be measured, not this.
 */
export function fleetBlobs(servers: number, firstHourMs: number, hours: number): GrowingBlobs {
  const folders = Array.from({ length: servers }, (_, server) => folderOf(server))
  const files = Array.from(
    { length: hours },
    (_, hour) => `${hourPath(firstHourMs + hour * hourMs)}PT1H.json`,
  )
  const serverOf = new Map(folders.map((folder, server) => [folder, server]))
  const hourOf = new Map(files.map((file, hour) => [file, hour]))
  const folderLength = folders[0]?.length ?? 0
  return {
    count: servers * hours,
    blobAt: (index): GrowingBlob => {
      const server = Math.floor(index / hours)
      const startMs = firstHourMs + (index % hours) * hourMs
      return {
        // A copy, as one that was parsed from an answer: two joined strings would share their parts with all other names.
        name: Buffer.from(`${folders[server]}${files[index % hours]}`, 'latin1').toString('latin1'),
        // Servers do not write at one instant.
        fromMs: startMs + ((server * 7_919) % minuteMs),
        untilMs: startMs + hourMs + 5 * minuteMs,
        everyMs: minuteMs,
      }
    },
    indexOf: (name) => {
      const server = serverOf.get(name.slice(0, folderLength))
      const hour = hourOf.get(name.slice(folderLength))
      return server === undefined || hour === undefined ? undefined : server * hours + hour
    },
  }
}

function folderOf(server: number): string {
  const id = `${fleetGroup}/providers/Microsoft.DBforPostgreSQL/flexibleServers/bench-pg-${String(server).padStart(4, '0')}`
  return `resourceId=${id.toUpperCase()}/`
}
