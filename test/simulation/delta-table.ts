import { posix } from 'node:path'
import type { Clock } from '../../src/clock.ts'
import { isTailraceError } from '../../src/errors.ts'
import type { BlobGeneration, GenerationMark } from '../../src/records.ts'
import { DeltaCommitter } from '../../src/sinks/delta/committer.ts'
import {
  type ArchiveOffsetsOptions,
  archiveOffsets,
} from '../../src/sinks/delta/maintenance/archive-offsets.ts'
import { commitPath } from '../../src/sinks/delta/protocol/actions.ts'
import type { EmbeddedEngine } from '../../src/sinks/encoding/engine.ts'
import type { TableCommitter } from '../../src/sinks/table-committer.ts'
import type { History } from './history.ts'
import type { Life } from './machine.ts'
import { MemoryArchiveFiles } from './memory-archive-files.ts'
import { MemoryTableStorage, TableObjects, type TableVerdict, tableUnavailable } from './memory-table.ts'
import { randomOf, tableFaults, type WorldPlan } from './plan.ts'
import type { OpenCommitter, SimulatedTable } from './process.ts'
import { VisibleTable } from './visible-table.ts'
import { plainName, type WorldCalls } from './world-calls.ts'

export interface SimulatedDeltaTableOptions {
  readonly plan: WorldPlan
  readonly clock: Clock
  readonly calls: WorldCalls
  readonly history: History
  readonly fail: (error: unknown) => void
}

/** A Delta table in memory, with the faults of its storage. Each commit is checked when it is created. */
export class SimulatedDeltaTable implements SimulatedTable {
  readonly visible = new VisibleTable()
  readonly #options: SimulatedDeltaTableOptions
  readonly #objects: TableObjects
  /** Whether processes archive offsets in this world. */
  readonly #archives: boolean
  #archiveFiles = 0

  constructor(options: SimulatedDeltaTableOptions) {
    this.#options = options
    this.#archives = randomOf(options.plan.seed, 'archives').next() < 0.6
    this.#objects = new TableObjects(options.clock, (path, bytes) => this.#noteCreated(path, bytes))
  }

  get commits(): number {
    return this.visible.version
  }

  /** @returns the committer of one process, as the Delta sink opens it */
  readonly openCommitter: OpenCommitter = async (
    { config, staging, offsets },
    life,
  ): Promise<TableCommitter> => {
    const { plan, clock } = this.#options
    const storage = new MemoryTableStorage(
      this.#objects,
      life,
      (caller, call, path, isConditional) => this.#verdict(caller, call, path, isConditional),
      clock,
    )
    const archiveFiles = new MemoryArchiveFiles(storage, () => {
      this.#archiveFiles += 1
      return `${this.#archiveFiles}`
    })
    const committer = new DeltaCommitter({
      storage,
      engine: engineWithoutCheckpoints,
      archiveFiles,
      markOf: (source) => offsets.markOf(source),
      onRecalled: (mark) => {
        if (offsets.markOf(mark) === undefined) offsets.recordMark(mark)
      },
      onForgotten: (source) => offsets.forgetMark(source),
      columns: config.table.columns,
      partitionColumns: config.table.partitionColumns.map(({ column }) => column),
      tableName: config.table.name.table,
      stagingDirectory: staging.directory,
      clock: life.clock,
      random: randomOf(plan.seed, `commits of ${life.id}`).next,
    })
    await committer.open()
    const markOf = (source: BlobGeneration): GenerationMark | undefined => offsets.markOf(source)
    const unmarkedOf = (): ArchiveOffsetsOptions['unmarked'] => committer.unmarkedOffsets
    if (this.#archives) this.#archiveAgain({ storage, files: archiveFiles, markOf }, unmarkedOf, life)
    return committer
  }

  /** Moves old offsets into the archive every now and then, beside the landings of a process. */
  #archiveAgain(
    { storage, files, markOf }: Pick<ArchiveOffsetsOptions, 'storage' | 'files' | 'markOf'>,
    unmarkedOf: () => ArchiveOffsetsOptions['unmarked'],
    life: Life,
  ): void {
    const { plan, history, fail } = this.#options
    const random = randomOf(plan.seed, `archives of ${life.id}`)
    const again = (): void => {
      life.clock.after(random.between(500, 60_000), () => {
        const archiving = archiveOffsets({
          storage,
          engine: engineWithoutCheckpoints,
          files,
          clock: life.clock,
          random: random.next,
          unchangedMs: random.next() < 0.3 ? 0 : random.between(0, 120_000),
          minOffsets: 1,
          unmarked: unmarkedOf(),
          markOf,
        })
        archiving
          .then(
            (report) => {
              if (report !== undefined)
                history.note('table', `version ${report.tableVersion}: ${report.offsets} offsets archived`)
            },
            (error: unknown) => {
              if (!isTailraceError(error) || error.disposition !== 'retry') fail(error)
            },
          )
          .then(again)
      })
    }
    again()
  }

  #verdict(life: Life, call: string, path: string, isConditional: boolean): TableVerdict {
    const { calls } = this.#options
    const { verdict, fault } = calls.tableVerdict(life, `${call} of ${plainName(path)}`, {
      group: 'table',
      faults: tableFaults,
      isPossible: (drawn) => isConditional || drawn === 'table-unavailable' || drawn === 'table-slow',
    })
    switch (fault) {
      case undefined:
        return verdict
      case 'table-unavailable':
        return { ...verdict, error: tableUnavailable() }
      case 'table-slow':
        return { ...verdict, ms: calls.between(1_000, 60_000) }
      case 'table-lost-reply':
        return { ...verdict, unanswered: 'done' }
      case 'table-lost-request':
        return { ...verdict, unanswered: 'never' }
      case 'table-late-request':
        return { ...verdict, unanswered: { afterMs: calls.between(1, 20_000) } }
    }
  }

  #noteCreated(path: string, bytes: Buffer): void {
    const { history, fail } = this.#options
    const version = Number(posix.basename(path, '.json'))
    if (path !== commitPath(version)) return
    try {
      const { moves, rows } = this.visible.apply(version, bytes, (file) => this.#objects.get(file))
      history.note('table', `version ${version}: ${rows} rows, ${moves.join(', ') || 'no offsets'}`)
    } catch (error) {
      fail(error)
    }
  }
}

/** A table is whole without checkpoints, and reading data files is only for tables that lost their offsets. */
const engineWithoutCheckpoints = {
  connect: async (): Promise<never> => {
    throw new Error('There are no checkpoints in a simulated world.')
  },
} as unknown as EmbeddedEngine
