import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { createInterface, type Interface } from 'node:readline'
import { isAbort, isTailraceError } from '../../errors.ts'
import { escapeText } from '../../reporting/escape-text.ts'
import { printTable } from '../../reporting/row-printer.ts'
import { type TextFormat, textFormats } from '../../reporting/text-formats.ts'
import type { ChosenEngine } from '../../run/inspection/choose-engine.ts'
import { openStatements, type Statements } from '../../run/inspection/statements.ts'
import type { TableMoment } from '../../sinks/query-session.ts'
import type { CommandContext } from '../command.ts'
import { type CatalogEntry, readCatalog } from './catalog.ts'
import { completionsOf, isComplete } from './prompt-text.ts'
import { resultsPrinter } from './result-output.ts'

export interface PromptOptions {
  readonly moment: TableMoment
  readonly unsafe: boolean
  readonly format: TextFormat
  readonly wide: boolean
}

/** Statements that are remembered between sessions. */
const maxHistory = 500

const help = `A statement ends with a semicolon and may have several lines. Each one reads the newest version of the tables.
  \\d            list tables and views
  \\d NAME       list the columns of one
  \\timing       print the time of each statement, or stop that
  \\wide         print cells whole, or stop that
  \\format NAME  ${textFormats.join(', ')}
  \\q            quit; so does Ctrl-D. Ctrl-C cancels
`

/** Asks a person for statements, and prints their results, until the end of the input. */
export class QueryPrompt {
  readonly #context: CommandContext
  readonly #engine: ChosenEngine
  readonly #session: Statements
  readonly #historyPath: string
  #format: TextFormat
  #isWide: boolean
  #isTimed = false
  #catalog: readonly CatalogEntry[] = []
  /** The lines of a statement whose end has not been typed. */
  #text = ''
  #running: AbortController | undefined

  constructor(context: CommandContext, engine: ChosenEngine, options: PromptOptions) {
    this.#context = context
    this.#engine = engine
    const { clock, logger } = context
    const { unsafe, moment } = options
    this.#session = openStatements(engine, { unsafe, moment, clock, logger })
    this.#format = options.format
    this.#isWide = options.wide
    this.#historyPath = join(context.config.stateDirectory, 'query-history')
  }

  /** @returns the exit code: 0 */
  async run(): Promise<number> {
    const { print } = this.#context
    await print('Type a statement, or \\? for help.\n')
    const history = await this.#readHistory()
    const lines = createInterface({
      input: process.stdin,
      output: process.stdout,
      history: [...history],
      historySize: maxHistory,
      removeHistoryDuplicates: true,
      completer: (line: string) => completionsOf(line, this.#catalog),
    })
    let kept: readonly string[] = history
    lines.on('history', (all) => {
      kept = all
    })
    // Not awaited: a person can type before the tables are known.
    const reading = this.#readCatalog()
    await this.#readLines(lines)
    await reading
    await this.#session.close()
    await this.#writeHistory(kept)
    return 0
  }

  /** Handles one line after the other; those pasted meanwhile wait. */
  async #readLines(lines: Interface): Promise<void> {
    let handling = Promise.resolve()
    const prompt = (): void => {
      lines.setPrompt(this.#text === '' ? 'tailrace> ' : '     ...> ')
      lines.prompt()
    }
    lines.on('SIGINT', () => {
      if (this.#running !== undefined) {
        this.#running.abort(new DOMException('canceled', 'AbortError'))
        return
      }
      this.#text = ''
      process.stdout.write('^C\n')
      // Empties the line being typed.
      lines.write(null, { ctrl: true, name: 'u' })
      prompt()
    })
    await new Promise<void>((resolve) => {
      lines.on('line', (line) => {
        handling = handling.then(async () => {
          if ((await this.#handle(line)) === 'quit') lines.close()
          else prompt()
        })
      })
      lines.once('close', () => {
        this.#running?.abort(new DOMException('canceled', 'AbortError'))
        void handling.finally(resolve)
      })
      prompt()
    })
  }

  async #handle(line: string): Promise<'quit' | undefined> {
    if (this.#text === '' && line.trim() === '') return undefined
    if (this.#text === '' && /^\s*(?:\\|quit\b|exit\b)/.test(line)) return this.#command(line.trim())
    this.#text += `${line}\n`
    if (!isComplete(this.#text)) return undefined
    const sql = this.#text
    this.#text = ''
    await this.#statement(sql)
    return undefined
  }

  async #command(line: string): Promise<'quit' | undefined> {
    const { print } = this.#context
    const [, name = '', argument = ''] = /^(\S*)\s*(.*?)\s*;?$/.exec(line) ?? []
    switch (name) {
      case '\\q':
      case 'quit':
      case 'exit':
        return 'quit'
      case '\\d':
        await this.#describe(argument)
        break
      case '\\timing':
        this.#isTimed = !this.#isTimed
        await print(`Timing is ${this.#isTimed ? 'on' : 'off'}.\n`)
        break
      case '\\wide':
        this.#isWide = !this.#isWide
        await print(`Cells are ${this.#isWide ? 'printed whole' : 'cut'}.\n`)
        break
      case '\\format': {
        const format = textFormats.find((one) => one === argument)
        if (format !== undefined) this.#format = format
        await print(
          format === undefined ? `Formats: ${textFormats.join(', ')}.\n` : `The format is ${format}.\n`,
        )
        break
      }
      default:
        await print(name === '\\?' ? help : `${name} is unknown.\n${help}`)
    }
    return undefined
  }

  async #describe(name: string): Promise<void> {
    const { print } = this.#context
    await this.#readCatalog()
    if (name === '') {
      await printTable(
        print,
        ['table or view', 'columns'],
        this.#catalog.map((one) => [one.name, one.columns.length]),
        { wide: true },
      )
      return
    }
    const found = this.#catalog.find((one) => one.name.toLowerCase() === name.toLowerCase())
    if (found === undefined) await print(`There is no ${escapeText(name)}; \\d lists the tables and views.\n`)
    else
      await printTable(
        print,
        ['column', 'type', 'comment'],
        found.columns.map((one) => [one.name, one.type, one.comment]),
        { wide: true },
      )
  }

  async #statement(sql: string): Promise<void> {
    const { clock, print, printRows } = this.#context
    this.#running = new AbortController()
    const { signal } = this.#running
    const startedAtMs = clock.now()
    const { take, end } = resultsPrinter(printRows, { format: this.#format, wide: this.#isWide })
    try {
      await this.#session.run({
        sql,
        signal,
        take: async (batch) => !signal.aborted && (await take(batch)),
      })
      await end()
      if (this.#isTimed) await print(`Time: ${clock.now() - startedAtMs} ms\n`)
    } catch (error) {
      if (isAbort(error)) await print('Canceled.\n')
      else if (isTailraceError(error)) await print(`${error.code}: ${error.message}\n`)
      else throw error
    } finally {
      this.#running = undefined
    }
  }

  /** A failure shows when a statement is run. */
  async #readCatalog(): Promise<void> {
    await readCatalog(this.#engine, this.#session).then(
      (catalog) => {
        this.#catalog = catalog
      },
      () => {},
    )
  }

  async #readHistory(): Promise<readonly string[]> {
    const text = await readFile(this.#historyPath, 'utf8').catch(() => '')
    return text.split('\n').filter((line) => line !== '')
  }

  /** Only this user may read it, because statements may hold values. A failure loses only the history. */
  async #writeHistory(lines: readonly string[]): Promise<void> {
    try {
      await mkdir(dirname(this.#historyPath), { recursive: true })
      await writeFile(this.#historyPath, `${lines.slice(0, maxHistory).join('\n')}\n`, { mode: 0o600 })
    } catch (error) {
      this.#context.logger.debug({ err: error }, 'the history of statements was not written')
    }
  }
}
