import { TailraceError } from '../../../errors.ts'
import type { LandedOffset } from '../../../offsets/landed-offsets.ts'
import type { TableDeclaration } from '../../../tables/table.ts'
import type { EmbeddedEngine } from '../../encoding/engine.ts'
import type { EncodedBatch } from '../../table-committer.ts'
import { readRowChunks } from '../loading/json-rows.ts'
import type { RowLoader, Settlement } from '../loading/row-loader.ts'
import type { ZerobusClient } from './zerobus-client.ts'

/** Bytes of JSON rows in one request. The REST interface documents no limit of its own. */
const maxRequestBytes = 1024 * 1024

export interface ZerobusLoaderOptions {
  readonly client: ZerobusClient
  readonly declaration: Pick<TableDeclaration, 'columns'>
  /** Creates or checks the table and its view where there is a warehouse; checks the access to the table otherwise. */
  readonly ensureTable: () => Promise<void>
  /** Reads the encoded files. */
  readonly engine: EmbeddedEngine
}

/**
 * Loads batches by Zerobus, at least once: a batch whose process is killed before it recorded the offsets is sent again,
 * and the view of `rowsOnceSql` shows its rows once. So there is no intent, and nothing to settle.
 */
export class ZerobusLoader implements RowLoader {
  readonly #options: ZerobusLoaderOptions

  constructor(options: ZerobusLoaderOptions) {
    this.#options = options
  }

  async open(): Promise<void> {
    await this.#options.ensureTable()
  }

  async settle(): Promise<Settlement> {
    return 'not-begun'
  }

  /** Resolves when the service has acknowledged every row. Requests follow one another, in no order of the offsets. */
  async add({ encoded }: { readonly encoded: EncodedBatch }): Promise<void> {
    const { client, declaration, engine } = this.#options
    const { columns } = declaration
    await readRowChunks(
      { engine, files: encoded.files, columns, order: 'any', times: 'numbers', maxBytes: maxRequestBytes },
      ({ rows }) => client.insert(rows),
    )
  }

  async replace(): Promise<number> {
    throw new TailraceError(
      'TABLE_UNSUPPORTED',
      'Rows cannot be replaced in mode zerobus, which only adds some: replay in mode replace-where or merge.',
    )
  }

  /** The rows do not say how far they go: those of an acknowledged request may not be in the table yet. */
  async landedByRows(): Promise<readonly LandedOffset[]> {
    return []
  }

  async tidy(): Promise<void> {}

  async reclaim(): Promise<void> {}
}
