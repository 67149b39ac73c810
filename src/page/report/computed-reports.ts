import { keyWithin } from '../../sinks/files-within.ts'
import type { ReportSection, ReportSectionId, ReportServer } from '../api-report.ts'
import type { FoundTable } from '../logs/found-tables.ts'

/** Reports that are kept, each of at most some hundred KB. */
const maxReports = 8

/** The time of a report, and how long before it the time lies with which it is compared. */
export interface ReportRange {
  readonly startMs: number
  readonly endMs: number
  readonly shiftMs: number | undefined
}

/** The parts of a report that earlier requests have computed. */
export interface ComputedReport {
  servers: readonly ReportServer[] | undefined
  readonly sections: Map<ReportSectionId, ReportSection>
}

/**
 * Keeps what reports have computed until rows of their time change: a page asks for one section after the other, and for the
 * same ones after a reload, from other windows, and for the file.
 */
export class ComputedReports {
  /** By range and files; the one used last comes last. */
  readonly #reports = new Map<string, ComputedReport>()

  /**
   * @param tables as they are now
   * @returns the kept parts; the caller adds those that it computes
   */
  of(tables: readonly FoundTable[], range: ReportRange): ComputedReport {
    const { startMs, endMs, shiftMs = 0 } = range
    const files = tables.map((table) => [table.id, keyWithin(table.files, startMs - shiftMs, endMs)])
    const key = JSON.stringify([range, files])
    const report = this.#reports.get(key) ?? { servers: undefined, sections: new Map() }
    this.#reports.delete(key)
    this.#reports.set(key, report)
    const [oldest] = this.#reports.keys()
    if (this.#reports.size > maxReports) this.#reports.delete(oldest!)
    return report
  }
}
