import type { TestContext } from 'node:test'
import { createProgram } from '../../src/commands/program/program.ts'
import { runTailrace } from './run-tailrace.ts'

const introduction = `# Command line

The help of every command, as \`tailrace help COMMAND\` prints it. What the commands are for is in
[Operations](operations.md#commands).
`

/** Renders docs/cli.md from the help texts of the real command. */
export async function cliPage(t: TestContext): Promise<string> {
  const sections = await Promise.all(
    [[], ...commandPaths()].map(async (path) => {
      const { stdout } = await runTailrace(t, [...path, '--help'])
      return `\n## \`${['tailrace', ...path].join(' ')}\`\n\n\`\`\`text\n${stdout}\`\`\`\n`
    }),
  )
  return introduction + sections.join('')
}

/** @returns the words of each command that can be run */
export function commandPaths(): string[][] {
  const unused = async (): Promise<void> => {}
  const program = createProgram({
    version: '',
    runner: { withConfig: unused, withoutConfig: unused },
    onFlags: () => {},
    write: () => {},
  })
  type Node = Pick<typeof program, 'commands' | 'name' | 'createHelp'>
  const below = (command: Node, path: readonly string[]): string[][] =>
    command.commands
      .filter((one) => !one.name().startsWith('_'))
      .flatMap((one) => {
        const own = [...path, one.name()]
        return one.commands.length === 0 ? [own] : below(one as unknown as Node, own)
      })
  return below(program, [])
}
