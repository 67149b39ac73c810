import type { FileFacts } from '../../sinks/query-session.ts'
import type { ReportSection, ReportSectionId, ReportServer } from '../api-report.ts'
import type { FoundTable } from '../logs/found-tables.ts'

/** Reports that are kept, each of at most some hundred KB. */
const maxReports = 8

/** What has been computed of one report. */
export interface ComputedReport {
  servers: readonly ReportServer[] | undefined
  readonly sections: Map<ReportSectionId, ReportSection>
}

/**
 * Keeps what reports have computed until the tables have a newer version: a page asks for one section after the other, and
 * for the same ones after a reload, from other windows, and for the file.
 */
export class ComputedReports {
  /** By range and tables; the one used last comes last. */
  readonly #reports = new Map<string, ComputedReport>()
  #files: readonly (readonly FileFacts[])[] = []

  /**
   * @param tables in the version that is the newest now
   * @param range everything else that the contents of a report depend on
   * @returns to be filled with what is missing
   */
  of(tables: readonly FoundTable[], range: object): ComputedReport {
    // A table gives the same list until it has a newer version.
    const files = tables.map((table) => table.files)
    const isNewest =
      files.length === this.#files.length && files.every((some, at) => some === this.#files[at])
    if (!isNewest) this.#reports.clear()
    this.#files = files
    const key = JSON.stringify([range, tables.map(({ id }) => id)])
    const report = this.#reports.get(key) ?? { servers: undefined, sections: new Map() }
    this.#reports.delete(key)
    this.#reports.set(key, report)
    const [oldest] = this.#reports.keys()
    if (this.#reports.size > maxReports) this.#reports.delete(oldest!)
    return report
  }
}
