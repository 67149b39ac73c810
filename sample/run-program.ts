import { type SpawnOptions, spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'

/** How one program runs. */
export interface RunOptions extends Pick<SpawnOptions, 'cwd' | 'env' | 'uid' | 'gid'> {
  /** Given to the program as its whole standard input. */
  readonly input?: string | Buffer
  /** The program is killed when it takes longer. */
  readonly limitMs: number
}

/** Runs a program to its end and returns its output. Rejects with the end of its error output when it fails. */
export async function runProgram(
  program: string,
  args: readonly string[],
  { input, limitMs, ...options }: RunOptions,
): Promise<string> {
  const child = spawn(program, args, { ...options, stdio: ['pipe', 'pipe', 'pipe'], timeout: limitMs })
  const ended = new Promise<string | undefined>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => resolve(code === 0 ? undefined : (signal ?? `exit code ${code}`)))
  })
  // A program may end before it has read its input. Only its exit code decides whether that is a failure.
  child.stdin.on('error', () => {})
  child.stdin.end(input)
  const [failure, stdout, stderr] = await Promise.all([ended, text(child.stdout), text(child.stderr)])
  if (failure) throw new Error(`${program} failed (${failure}): ${stderr.slice(-2000).trim()}`)
  return stdout
}
