import type { TableName } from '../tables/table.ts'

/**
 * Help for an administrator of the system that tables are in: from nothing to the first landed row.
 *
 * The parameters are types of the kind of sink, because `sink.ts` imports this file.
 */
export interface SinkSetup<Target, Context, Opening, Opened> {
  /**
   * Formats the commands and statements by which an administrator prepares everything that the targets need.
   *
   * @param targets all of one system, by `systemOf`
   * @param principal the identity that Tailrace signs in as; default: the one that the options name
   */
  script(targets: readonly Target[], principal: string | undefined): Promise<string>

  /** Names the system and the engine in it; the same text for targets that one script prepares. */
  systemOf(target: Target): string

  /**
   * Opens a table whose every statement and request is passed to `note` as text, and not sent. They are those of the first
   * landing in a new table.
   */
  openNoting(context: Opening, note: (step: string) => void): Promise<Opened>

  /**
   * Probes the rights of a pipeline one by one, each with a statement or request that changes no row.
   *
   * @throws WAREHOUSE_UNAVAILABLE, and WAREHOUSE_DENIED when the identity itself is refused
   */
  probeRights(context: Context): Promise<RightsReport>

  /**
   * Finds the rights whose lack made a landing fail, after `probeRights` has found none missing.
   *
   * @returns undefined for a failure with another cause
   */
  missingGrants(target: Target, error: unknown, principal: string): Promise<MissingGrants | undefined>

  /** Removes a scratch table with its offsets and staged files, as far as they exist. */
  removeScratch(context: Context): Promise<void>

  /**
   * Estimates what landing costs beside storage, with the settings of the system that decide it as far as they can be
   * read. Wakes nothing that is paid by time.
   *
   * @param context of any of the loads
   * @param loads all of one system
   */
  cost(context: Context, loads: readonly LandingLoad<Target>[]): Promise<LandingCost>
}

/** Statements and commands that give rights, ready to run. */
export interface MissingGrants {
  /** Those for rights that the system has named in a refusal. */
  readonly missing: readonly string[]
  /** Refusals that name no right. */
  readonly unnamed: readonly string[]
  /** Those for rights that may be missing: one of them explains `unnamed`, or they cannot be probed before the missing ones. */
  readonly unknown: readonly string[]
}

export interface RightsReport extends MissingGrants {
  /** The identity that the system knows Tailrace by. */
  readonly principal: string
  /** Sentences about the rights that are there. */
  readonly found: readonly string[]
}

/** How much one pipeline lands, and when. */
export interface LandingLoad<Target> {
  readonly target: Target
  readonly batch: {
    readonly maxBytes: number
    readonly maxAgeMs: number
    readonly landEveryMs: number | undefined
  }
  /** Source bytes that arrive in a day. */
  readonly bytesPerDay: number
}

/** An estimate for one day. */
export interface LandingCost {
  readonly system: string
  readonly bytesPerDay: number
  /** Instants at which batches land; several pipelines may share one. */
  readonly landings: number
  readonly statements: number
  /** Hours for which a warehouse is awake. */
  readonly awakeHours: number
  readonly dollars: number
  /** The figures that the estimate takes for granted. */
  readonly assumptions: string
}

/** @returns the name of a table beside another one, for one trial */
export function scratchName(table: TableName, id: string): TableName {
  return { ...table, table: `tailrace_check_${id}` }
}
