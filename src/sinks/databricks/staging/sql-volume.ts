import { stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { isTailraceError, TailraceError } from '../../../errors.ts'
import { quotePath } from '../tables/definition.ts'
import type { StatementRow, Warehouse } from '../warehouse/warehouse.ts'
import { checkedFolder, checkedName, folderOf, lastPartOf } from './staged-files.ts'
import type { StagedFile, VolumeStaging } from './volume-staging.ts'

/** The limit is 1,001 unless stated: https://docs.databricks.com/sql/language-manual/sql-ref-syntax-aux-list */
const maxListed = 100_000

/**
 * Accesses a volume's folder by the warehouse's `PUT`, `LIST` and `REMOVE` statements. The driver uploads files directly
 * to the storage behind the volume, with URLs that the warehouse signs.
 */
export class SqlVolumeStaging implements VolumeStaging {
  readonly folder: string
  readonly #warehouse: Warehouse

  /** @throws CONFIG_INVALID for a folder that is not in a volume, or that has characters not allowed in names */
  constructor({ folder, warehouse }: { readonly folder: string; readonly warehouse: Warehouse }) {
    this.folder = checkedFolder(folder)
    this.#warehouse = warehouse
  }

  async put(name: string, localPath: string): Promise<void> {
    const to = this.#quoted(name)
    const from = quotePath(localPath)
    if (from === undefined)
      throw new TailraceError(
        'CONFIG_INVALID',
        `The file ${localPath} cannot be uploaded: its path has characters that PUT does not allow. Use another directory.`,
      )
    // The driver would end the process for a missing file, so this fails first. The driver sends the length, so that
    // storage refuses a truncated upload.
    await stat(localPath)
    await this.#warehouse.execute({
      label: 'upload a file',
      sql: `PUT ${from} INTO ${to} OVERWRITE`,
      repeatable: true,
      uploadsFrom: dirname(localPath),
    })
  }

  async sizeOf(name: string): Promise<number | undefined> {
    this.#quoted(name)
    const { files } = await this.list(folderOf(name))
    return files.find((file) => file.name === name)?.bytes
  }

  async remove(name: string): Promise<void> {
    await this.#warehouse.execute({
      label: 'remove a file',
      sql: `REMOVE ${this.#quoted(name)}`,
      repeatable: true,
      removesFile: true,
    })
  }

  async list(folder: string): ReturnType<VolumeStaging['list']> {
    const rows = await this.#rows(folder)
    const below = folder === '' ? '' : `${folder}/`
    const files: StagedFile[] = []
    const folders: string[] = []
    for (const row of rows) {
      const name = `${below}${lastPartOf(String(row.name).replace(/\/$/, ''))}`
      if (String(row.name).endsWith('/')) folders.push(name)
      else files.push({ name, bytes: Number(row.size), modifiedAtMs: Number(row.modification_time) })
    }
    return { files, folders }
  }

  async #rows(folder: string): Promise<readonly StatementRow[]> {
    const path = folder === '' ? quoted(this.folder) : this.#quoted(folder)
    try {
      return await this.#warehouse.execute({
        label: 'list files',
        sql: `LIST ${path} LIMIT ${maxListed}`,
        repeatable: true,
      })
    } catch (error) {
      if (isTailraceError(error, 'STATEMENT_FAILED') && isMissing(error)) return []
      throw error
    }
  }

  #quoted(name: string): string {
    return quoted(`${this.folder}/${checkedName(name)}`)
  }
}

/** Recognizes error classes, and a file system's exception, which comes without a class. */
function isMissing({ context, message }: TailraceError): boolean {
  return /PATH_NOT_FOUND|FILE_NOT_EXIST|DIRECTORY_NOT_FOUND|PATH_DOES_NOT_EXIST|FileNotFoundException/.test(
    `${context.errorClass ?? ''} ${message}`,
  )
}

function quoted(path: string): string {
  const text = quotePath(path)
  if (text === undefined)
    throw new TailraceError('CONFIG_INVALID', `${path} has characters that volume statements do not allow.`)
  return text
}
