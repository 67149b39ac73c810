import { Argument, type Command } from '@commander-js/extra-typings'
import { completionScript, completions, shells } from './completion.ts'
import { addCommand, type CommandRunner, hiddenCommand } from './definition.ts'

/** Commands that prepare the use of the others. */
export function addSetupCommands(program: Command, runner: CommandRunner): void {
  addCommand(program, 'completion', 'Print a script by which a shell completes commands and options.', {
    examples: [
      ['source <(tailrace completion bash)', 'in ~/.bashrc'],
      ['source <(tailrace completion zsh)', 'in ~/.zshrc, after compinit'],
      ['tailrace completion fish | source', 'in ~/.config/fish/config.fish'],
    ],
  })
    .addArgument(new Argument('<shell>', 'the shell').choices(shells))
    .action((shell) =>
      runner.withoutConfig(async (print) => {
        await print(completionScript(shell))
        return 0
      }),
    )

  // Asked by the scripts.
  program
    .command(hiddenCommand, { hidden: true })
    .helpOption(false)
    .argument('[words...]')
    .allowUnknownOption()
    .passThroughOptions()
    .action((words) =>
      runner.withoutConfig(async (print) => {
        await print(completions(program, words))
        return 0
      }),
    )
}
