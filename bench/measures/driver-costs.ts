import { measure, nodeCommand } from '../measured-process.ts'
import { median } from '../reports/statistics.ts'

/** The fixed costs of a process before its first statement; times are medians. */
export interface DriverCosts {
  readonly driverMs: number
  /** Of the peak of a process that loads the driver and does nothing else, above one without it. */
  readonly driverMegabytes: number
  readonly driverCpuSeconds: number
  /** Trusting the certificates of a `customCaFile` beside the usual ones. */
  readonly authorityMs: number
  /** The same for each connection after the first. */
  readonly authorityAgainMs: number
}

/** What `bench/measures/driver-load.ts` measures. */
type Load = 'nothing' | 'driver' | 'authority' | 'authority-again'

/** Loads the driver of SQL warehouses and an authority, each in processes of its own. */
export async function measureDriver(rounds: number, scratch: string): Promise<DriverCosts> {
  const loads: readonly Load[] = ['nothing', 'driver', 'authority', 'authority-again']
  const all = new Map<Load, { ms: number; megabytes: number; cpuSeconds: number }[]>()
  for (let round = 1; round <= rounds; round += 1) {
    for (const load of loads) {
      const measured = await measure(nodeCommand('bench/measures/driver-load.ts', [load]), scratch)
      const runs = all.get(load) ?? []
      all.set(load, runs)
      runs.push({
        ms: Number(measured.stdout),
        megabytes: measured.peakRssBytes / 1e6,
        cpuSeconds: measured.userSeconds + measured.systemSeconds,
      })
    }
  }
  const of = (load: Load, quantity: 'ms' | 'megabytes' | 'cpuSeconds'): number =>
    median(all.get(load)!.map((run) => run[quantity]))
  return {
    driverMs: of('driver', 'ms'),
    driverMegabytes: of('driver', 'megabytes') - of('nothing', 'megabytes'),
    driverCpuSeconds: of('driver', 'cpuSeconds') - of('nothing', 'cpuSeconds'),
    authorityMs: of('authority', 'ms'),
    authorityAgainMs: of('authority-again', 'ms'),
  }
}
