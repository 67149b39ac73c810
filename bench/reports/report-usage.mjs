/**
 * Preloaded into a measured process (`node --import ./bench/reports/report-usage.mjs …`): writes what the process used to
 * the file that `TAILRACE_BENCH_USAGE` names when it exits.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'

const path = process.env.TAILRACE_BENCH_USAGE

if (path !== undefined) {
  process.on('exit', () => {
    const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage()
    const usage = {
      userSeconds: userCPUTime / 1e6,
      systemSeconds: systemCPUTime / 1e6,
      peakRssBytes: highWaterMark() ?? maxRSS * 1024,
      loadedDriver: Object.keys(createRequire(import.meta.url).cache).some((file) =>
        file.includes('/@databricks/sql/'),
      ),
    }
    writeFileSync(path, JSON.stringify(usage))
  })
}

/** Linux counts the parent's memory at the fork into `maxRSS`; the kernel's own mark does not. */
function highWaterMark() {
  try {
    const kibibytes = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]
    return kibibytes === undefined ? undefined : Number(kibibytes) * 1024
  } catch {
    return undefined
  }
}
