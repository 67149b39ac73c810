import { execFile, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readlinkSync } from 'node:fs'
import { mkdtemp, rmdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { promisify } from 'node:util'
import { projectRoot } from '../support/tailrace-process.ts'

const run = promisify(execFile)
const imageName = 'localhost/tailrace:test'
// A build prints as much as its tools do.
const maxOutputBytes = 64 * 1024 * 1024

/** Why no image can be built and run here, or false: made to be a test's `skip`. */
export function imageToolsMissing(): string | false {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'only root on Linux builds the image'
  for (const program of ['buildah', 'bwrap']) {
    try {
      execFileSync(program, ['--version'], { stdio: 'pipe' })
    } catch {
      return `${program} is missing: apt-get install buildah bubblewrap`
    }
  }
  return false
}

/** What the Dockerfile says of running the image. */
interface ImageConfig {
  readonly User: string
  readonly Env: readonly string[]
  readonly Entrypoint: readonly string[]
  readonly Cmd: readonly string[]
  readonly WorkingDir: string
  readonly StopSignal: string
  readonly Volumes: Readonly<Record<string, unknown>>
  readonly ExposedPorts: Readonly<Record<string, unknown>>
}

/** The built image, with its files in a directory that nothing writes to. */
export interface BuiltImage {
  readonly root: string
  readonly config: ImageConfig
  /** `HEALTHCHECK`, which the format of OCI does not hold; as the exec form of the Dockerfile. */
  readonly healthcheck: readonly string[]
  remove(): Promise<void>
}

/** Builds the Dockerfile by buildah, without a daemon and without a registry of images. */
export async function buildImage(): Promise<BuiltImage> {
  await run('sh', ['test/deploy/base-image.sh'], { cwd: projectRoot, maxBuffer: maxOutputBytes })
  // Docker's format has HEALTHCHECK; the host's network is where the registry of packages is reached.
  const options = [
    '--pull-never',
    '--isolation=chroot',
    '--layers=false',
    '--network=host',
    '--format=docker',
  ]
  await run('buildah', ['bud', ...options, '--tag', imageName, '.'], {
    cwd: projectRoot,
    maxBuffer: maxOutputBytes,
  })
  const container = (await run('buildah', ['from', '--pull-never', imageName])).stdout.trim()
  const mounted = (await run('buildah', ['mount', container])).stdout.trim()
  // Only root may enter the folders above it, and the container has another user.
  const root = await mkdtemp(join(tmpdir(), 'tailrace-image-'))
  await run('mount', ['--bind', mounted, root])
  const inspected = JSON.parse(
    (await run('buildah', ['inspect', '--type', 'image', imageName], { maxBuffer: maxOutputBytes })).stdout,
  )
  const { config } = inspected.Docker as {
    config: ImageConfig & { readonly Healthcheck: { readonly Test: readonly string[] } }
  }
  return {
    root,
    config,
    healthcheck: config.Healthcheck.Test.slice(1),
    remove: async () => {
      // A process that still ends holds it; detached, it goes when that process does.
      await run('umount', ['--lazy', root])
      await rmdir(root)
      await run('buildah', ['umount', container])
      await run('buildah', ['rm', container])
    },
  }
}

export interface ContainerOptions {
  /** A directory of this machine in place of the image's volume. */
  readonly volume: string
  /** Other files and directories of this machine, read-only, by their paths in the container. */
  readonly mounts?: Readonly<Record<string, string>>
  readonly env?: Readonly<Record<string, string>>
}

/**
 * Runs a command in the image's files as an engine with `--read-only --tmpfs /tmp --cap-drop ALL` does: as the image's user, with
 * its environment alone, and with process 1 being the command. The network is this machine's.
 */
export class Container {
  readonly exited: Promise<number | null>
  stdout = ''
  stderr = ''
  #pid: Promise<number>

  constructor(
    image: BuiltImage,
    command: readonly string[],
    { volume, mounts = {}, env = {} }: ContainerOptions,
  ) {
    const { config } = image
    const [uid, gid] = config.User.split(':').map(Number) as [number, number]
    const [mountPoint] = Object.keys(config.Volumes) as [string]
    const variables = [...config.Env.map(splitOnce), ...Object.entries(env)]
    const isolation = [
      '--unshare-user',
      '--unshare-pid',
      '--unshare-ipc',
      '--as-pid-1',
      '--die-with-parent',
      '--clearenv',
      ...['--uid', String(uid), '--gid', String(gid), '--cap-drop', 'ALL'],
      ...bound(image.root),
      ...['--proc', '/proc', '--dev', '/dev', '--tmpfs', '/tmp', '--bind', volume, mountPoint],
      ...Object.entries(mounts).flatMap(([path, from]) => ['--ro-bind', from, path]),
      ...['--remount-ro', '/', '--chdir', config.WorkingDir],
      ...variables.flatMap(([name, value]) => ['--setenv', name, value]),
    ]
    const child = spawn('bwrap', ['--info-fd', '3', ...isolation, ...command], {
      uid,
      gid,
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    })
    child.stdout!.setEncoding('utf8').on('data', (piece: string) => {
      this.stdout += piece
    })
    child.stderr!.setEncoding('utf8').on('data', (piece: string) => {
      this.stderr += piece
    })
    // It is written in several pieces, and then closed.
    this.#pid = text(child.stdio[3] as NodeJS.ReadableStream).then(
      (info) => (JSON.parse(info) as { 'child-pid': number })['child-pid'],
    )
    // What did not start has an end, which tells more.
    this.#pid.catch(() => {})
    this.exited = once(child, 'close').then(([code]) => code as number | null)
  }

  /** The process as this machine numbers it. */
  get pid(): Promise<number> {
    return this.#pid
  }

  async kill(signal: NodeJS.Signals): Promise<void> {
    process.kill(await this.#pid, signal)
  }
}

/** The entries of the image's root, each read-only: where something is mounted, the root itself needs a new one. */
function bound(root: string): readonly string[] {
  return readdirSync(root, { withFileTypes: true }).flatMap((entry) => {
    const path = join(root, entry.name)
    if (entry.isSymbolicLink()) return ['--symlink', readlinkSync(path), `/${entry.name}`]
    return ['proc', 'dev', 'tmp', 'run', 'var'].includes(entry.name)
      ? []
      : ['--ro-bind', path, `/${entry.name}`]
  })
}

function splitOnce(variable: string): [string, string] {
  const at = variable.indexOf('=')
  return [variable.slice(0, at), variable.slice(at + 1)]
}
