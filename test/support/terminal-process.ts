import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { builtCommand } from './built-script.ts'
import { projectRoot } from './tailrace-process.ts'

const cli = fileURLToPath(new URL('../../src/cli.ts', import.meta.url))

/** Runs a command on a terminal of its own, and passes on what is typed and shown. */
const relay = `import fcntl, os, pty, select, struct, sys, termios
pid, terminal = pty.fork()
if pid == 0: os.execvp(sys.argv[1], sys.argv[1:])
fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack('HHHH', 40, 120, 0, 0))
inputs = [0, terminal]
while True:
    for ready in select.select(inputs, [], [])[0]:
        try: data = os.read(ready, 65536)
        except OSError: data = b''
        if ready == 0 and data: os.write(terminal, data)
        elif ready == 0: inputs.remove(0)
        elif data: os.write(1, data)
        else: sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) % 256)
`

const limitMs = 60_000

/** Why there can be no terminal; false when there can be one. */
export const noTerminalReason: string | false = (() => {
  try {
    execFileSync('python3', ['-c', 'import pty, termios'])
    return false
  } catch {
    return 'python3 with pty is not installed'
  }
})()

/** A `tailrace` whose standard streams are a terminal of 120 columns. */
export interface TerminalProcess {
  /** Everything shown so far, with the terminal's control sequences. */
  readonly shown: string
  type(text: string): void
  /** Waits until what is shown behind the last match matches. @throws after a minute, and when it ends before */
  until(pattern: RegExp): Promise<RegExpExecArray>
  readonly exited: Promise<number | null>
  /** Closes the terminal, as when its window is closed. */
  close(): void
}

/** Starts `tailrace` on a terminal; it is killed with the test at the latest. */
export function startOnTerminal(
  t: TestContext,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): TerminalProcess {
  const built = builtCommand(cli, args, env)
  return runOnTerminal(t, [process.execPath, ...built.args], built.env)
}

/** As `startOnTerminal`, for any command. */
export function runOnTerminal(
  t: TestContext,
  command: readonly string[],
  env: Readonly<Record<string, string>> = {},
): TerminalProcess {
  const { PATH = '', HOME = '', TMPDIR = '' } = process.env
  const child: ChildProcess = spawn('python3', ['-c', relay, ...command], {
    cwd: projectRoot,
    env: { PATH, HOME, TERM: 'xterm', ...(TMPDIR === '' ? {} : { TMPDIR }), ...env },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  let shown = ''
  let seen = 0
  let hasEnded = false
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    shown += text
  })
  const exited = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => {
      hasEnded = true
      resolve(code)
    })
  })
  t.after(async () => {
    child.kill('SIGKILL')
    await exited
  })
  return {
    get shown() {
      return shown
    },
    type: (text) => void child.stdin?.write(text),
    async until(pattern) {
      for (const deadline = Date.now() + limitMs; ; ) {
        const found = pattern.exec(shown.slice(seen))
        if (found !== null) {
          seen += found.index + found[0].length
          return found
        }
        if (hasEnded || Date.now() > deadline) throw new Error(`${pattern} is not in:\n${shown.slice(seen)}`)
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
    },
    exited,
    close: () => void child.kill('SIGKILL'),
  }
}
