import { writeFile } from 'node:fs/promises'
import { createInterface } from 'node:readline/promises'
import { TailraceError } from '../errors.ts'
import type { Print } from '../reporting/row-printer.ts'
import { outputFailed } from '../reporting/terminal.ts'
import { type StorageKind, storageKinds } from './program/storage-kinds.ts'

/** Answers given as options; a question is asked for each that is missing. */
export interface InitAnswers {
  readonly storage?: StorageKind | undefined
  /** Storage account, for `account`. */
  readonly account?: string | undefined
  readonly container?: string | undefined
  readonly blobs?: string | undefined
  readonly pipeline?: string | undefined
  readonly table?: string | undefined
  readonly root?: string | undefined
}

export interface InitOptions extends InitAnswers {
  readonly file: string
  /** Replace an existing file. Default false. */
  readonly force?: boolean | undefined
  /** Take the defaults instead of asking. */
  readonly asksNothing: boolean
}

/**
 * Writes a config that runs.
 *
 * @returns the exit code: 0
 * @throws USAGE when the file exists, or an answer is missing that has no default
 */
export async function init(print: Print, options: InitOptions): Promise<number> {
  const prompt = options.asksNothing
    ? undefined
    : createInterface({ input: process.stdin, output: process.stdout })
  try {
    const ask = async (question: string, given: string | undefined, fallback: string): Promise<string> => {
      if (given !== undefined) return given
      const answer = (await prompt?.question(`${question} [${fallback}]: `))?.trim()
      return answer === undefined || answer === '' ? fallback : answer
    }
    const kind = await ask(`Where are the logs (${storageKinds.join(', ')})?`, options.storage, 'embedded')
    const storage = storageKinds.find((one) => one === kind)
    if (storage === undefined) {
      throw new TailraceError('USAGE', `found ${kind}, expected ${storageKinds.join(', ')}.`)
    }
    const account = storage === 'account' ? await ask('Storage account?', options.account, '') : ''
    if (storage === 'account' && account === '') throw new TailraceError('USAGE', '--account is missing.')
    const isEmbedded = storage === 'embedded'
    const container = isEmbedded
      ? 'insights-logs-postgresqllogs'
      : await ask('Container?', options.container, 'insights-logs-postgresqllogs')
    const blobs = isEmbedded
      ? 'primary.ndjson'
      : await ask(
          'Blobs: a name, a prefix ending in /, a pattern or a resource id?',
          options.blobs,
          'primary/',
        )
    const pipeline = await ask('Name of the pipeline?', options.pipeline, 'primary')
    const table = await ask(
      'Table, as catalog.schema.table?',
      options.table,
      `lakehouse.postgres.${pipeline.replaceAll('-', '_')}_logs`,
    )
    const root = await ask('Directory of the tables?', options.root, './lakehouse')
    await writeConfig(options, configText({ storage, account, container, blobs, pipeline, table, root }))
    await print(
      `${options.file} is written. Next: tailrace check${isEmbedded ? '' : ' (it reaches the storage)'}, then tailrace start.\n`,
    )
    return 0
  } finally {
    prompt?.close()
  }
}

async function writeConfig({ file, force }: InitOptions, text: string): Promise<void> {
  try {
    await writeFile(file, text, { flag: force === true ? 'w' : 'wx' })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw outputFailed(file, error)
    throw new TailraceError(
      'USAGE',
      `${file} exists already: choose another with --file, or replace it with --force.`,
    )
  }
}

function configText(
  answers: Record<Exclude<keyof InitAnswers, 'storage'>, string> & { readonly storage: StorageKind },
): string {
  const { storage, account, container, blobs, pipeline, table, root } = answers
  const storageText = {
    embedded: "{ kind: 'embedded' }",
    account: `{ kind: 'account', account: ${quoted(account)} }`,
    'connection-string':
      // The written config reads it, not this command.
      `{ kind: 'connection-string', connectionString: ${'process'}.env.AZURE_STORAGE_CONNECTION_STRING ?? '' }`,
  }[storage]
  return `import { defineConfig, postgresLogs } from 'tailrace'

export default defineConfig({
  pipelines: {
    ${/^[a-z_]\w*$/i.test(pipeline) ? pipeline : quoted(pipeline)}: {
      source: {
        storage: ${storageText},
        container: ${quoted(container)},
        blobs: ${quoted(blobs)},
      },
      transforms: [],
      table: postgresLogs(${quoted(table)}),
      sink: { kind: 'delta', root: ${quoted(root)} },
    },
  },
})
`
}

function quoted(text: string): string {
  return `'${text.replace(/[\\']/g, '\\$&').replaceAll('\n', '\\n')}'`
}
