import type { Command, Option } from '@commander-js/extra-typings'

/** The shells that `tailrace completion` has a script for. */
export const shells = ['bash', 'zsh', 'fish'] as const
export type Shell = (typeof shells)[number]

/**
 * Scripts that ask the hidden command `__complete` for the words that can follow, so that they stay correct after an
 * upgrade. Its answer is `words` or `files` in the first line, then one word per line with its description after a tab.
 */
const scripts: Readonly<Record<Shell, string>> = {
  bash: `_tailrace() {
  local IFS=$'\\n'
  local lines=($("\${COMP_WORDS[0]}" __complete "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
  if [[ "\${lines[0]}" == files ]]; then
    compopt -o filenames 2>/dev/null
    COMPREPLY=($(compgen -f -- "\${COMP_WORDS[COMP_CWORD]}"))
  else
    lines=("\${lines[@]:1}")
    COMPREPLY=("\${lines[@]%%$'\\t'*}")
  fi
}
complete -F _tailrace tailrace
`,
  zsh: `#compdef tailrace
_tailrace() {
  local -a lines described
  local line
  lines=("\${(@f)$("\${words[1]}" __complete "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ $lines[1] == files ]]; then
    _files
    return
  fi
  for line in "\${(@)lines[2,-1]}"; do
    [[ -n $line ]] && described+=("\${\${line%%$'\\t'*}//:/\\\\:}:\${line#*$'\\t'}")
  done
  _describe tailrace described
}
compdef _tailrace tailrace
`,
  fish: `function __tailrace_complete
  set -l given (commandline -opc) (commandline -ct)
  set -l lines (tailrace __complete $given[2..-1] 2>/dev/null)
  if test "$lines[1]" = files
    __fish_complete_path (commandline -ct)
  else
    printf '%s\\n' $lines[2..-1]
  end
end
complete -c tailrace -f -a '(__tailrace_complete)'
`,
}

export function completionScript(shell: Shell): string {
  return scripts[shell]
}

/** A word that can follow on a command line. */
interface Word {
  readonly text: string
  readonly description: string
}

/**
 * @param words the words after `tailrace`; the last one is being typed and may be empty
 * @returns the answer to a completion script
 */
export function completions(program: Command, words: readonly string[]): string {
  const current = words.at(-1) ?? ''
  let command = program
  let pending: Option | undefined
  for (const word of words.slice(0, -1)) {
    if (pending !== undefined) pending = undefined
    else if (word.startsWith('-')) pending = optionNamed(command, word)
    else command = (command.commands.find((one) => one.name() === word) as Command | undefined) ?? command
  }
  const found = pending === undefined ? following(command, current) : valuesOf(pending)
  if (found === 'files') return 'files\n'
  const lines = found
    .filter(({ text }) => text.startsWith(current))
    .map(({ text, description }) => `${text}\t${description}\n`)
  return `words\n${lines.join('')}`
}

/** @returns the option of that name, if a value follows it */
function optionNamed(command: Command, name: string): Option | undefined {
  const option = command.options.find(({ long, short }) => name === long || name === short)
  return option?.required === true ? option : undefined
}

/** Options whose value is a path. */
const fileOptions: ReadonlySet<string | undefined> = new Set(['--config', '--file', '--output', '--junit'])

function valuesOf({ long, argChoices = [] }: Option): readonly Word[] | 'files' {
  if (fileOptions.has(long)) return 'files'
  return argChoices.map((text) => ({ text, description: '' }))
}

/** @returns subcommands and values of arguments, or options once a dash is typed or there is nothing else */
function following(command: Command, current: string): readonly Word[] {
  const help = command.createHelp()
  const commands = help
    .visibleCommands(command)
    .map((one) => ({ text: one.name(), description: one.description() }))
  const values = command.registeredArguments
    .flatMap(({ argChoices = [] }) => argChoices)
    .map((text) => ({ text, description: '' }))
  const words = [...commands, ...values]
  if (words.length > 0 && !current.startsWith('-')) return words
  return help.visibleOptions(command).map(({ long, description }) => ({ text: long ?? '', description }))
}
