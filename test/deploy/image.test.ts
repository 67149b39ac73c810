import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { chown, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, type TestContext, test } from 'node:test'
import { diskBytes } from '../package/consumer.ts'
import { eventually } from '../support/eventually.ts'
import { freePort } from '../support/free-port.ts'
import { jsonlogLine, linesAsBytes } from '../support/log-lines.ts'
import { skipUnless } from '../support/skip-unless.ts'
import { startStorage } from '../support/storage.ts'
import { projectRoot } from '../support/tailrace-process.ts'
import { type BuiltImage, buildImage, Container, type ContainerOptions, imageToolsMissing } from './image.ts'
import { runTool, tools, toolsMissing } from './tools.ts'

const skip = skipUnless(imageToolsMissing())

let image: BuiltImage

before(async () => {
  if (skip === false) image = await buildImage()
})

after(() => image?.remove())

/** A volume of the image's user, which goes away with the test. */
async function volume(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'tailrace-volume-'))
  t.after(() => rm(directory, { recursive: true, force: true }))
  await chown(directory, 1000, 1000)
  return directory
}

function start(t: TestContext, args: readonly string[], options: ContainerOptions): Container {
  const container = new Container(image, [...image.config.Entrypoint, ...args], options)
  t.after(async () => {
    // A container that has ended has no process to kill.
    await container.kill('SIGKILL').catch(() => {})
    await container.exited
  })
  return container
}

/** The paths that the manifests probe. */
function probePaths(): readonly string[] {
  const manifests = ['helm/tailrace/templates/statefulset.yaml', 'container-apps/main.bicep']
  const paths = manifests.flatMap((file) => {
    const found = [
      ...readFileSync(join(projectRoot, 'deploy', file), 'utf8').matchAll(/path: '?(\/[a-z]+z)\b/g),
    ]
    assert.equal(found.length, 3, file)
    return found.map(([, path]) => path as string)
  })
  return [...new Set(paths)]
}

test('the image adds less than 250 MB to its base, and holds no tests, sources or tools of the build', {
  skip,
}, async (t) => {
  const megabytes = (await diskBytes(join(image.root, 'app'))) / 1e6
  t.diagnostic(`${megabytes.toFixed(0)} MB`)
  assert.ok(megabytes < 250, `${megabytes} MB`)
  assert.deepEqual(readdirSync(join(image.root, 'app')).sort(), [
    'CHANGELOG.md',
    'LICENSE',
    'README.md',
    'bin',
    'dist',
    'node_modules',
    'package.json',
    'pipeline.config.ts',
    'src',
  ])
  const packages = readdirSync(join(image.root, 'app/node_modules/.pnpm'))
  const tools = /^(?:azurite|typescript|@biomejs|@typescript|fast-check|@types\+(?:split2|picomatch))/
  assert.deepEqual(
    packages.filter((name) => tools.test(name)),
    [],
  )
  const sources = readdirSync(join(image.root, 'app/src'), { recursive: true, encoding: 'utf8' })
  assert.deepEqual(
    sources.filter((name) => name.endsWith('.ts')),
    [],
  )
})

test('the image holds the releases of the lock file', { skip }, () => {
  const locked = readFileSync(join(projectRoot, 'pnpm-lock.yaml'), 'utf8')
  const { dependencies, devDependencies } = JSON.parse(
    readFileSync(join(projectRoot, 'package.json'), 'utf8'),
  )
  const shipped = { ...dependencies }
  const optional = Object.keys(devDependencies).filter((name) =>
    /^@(?:azure|databricks|opentelemetry)\//.test(name),
  )
  assert.ok(optional.length > 3)
  for (const name of optional) shipped[name] = devDependencies[name]
  for (const [name, version] of Object.entries(shipped)) {
    const manifest = JSON.parse(
      readFileSync(join(image.root, 'app/node_modules', name, 'package.json'), 'utf8'),
    )
    assert.equal(manifest.version, version, name)
  }
  for (const folder of readdirSync(join(image.root, 'app/node_modules/.pnpm'))) {
    const [, name, version] = /^(@?[^@]+)@([^_]+)/.exec(folder) ?? []
    if (name === undefined || version === undefined) continue
    assert.ok(locked.includes(`${name.replace('+', '/')}@${version}`), folder)
  }
})

test('the container runs as an ordinary user with read-only files, as process 1, is healthy by its probes, and ends in order with SIGTERM', {
  skip,
}, async (t) => {
  const storage = await startStorage(t)
  await storage.append('primary/a.ndjson', linesAsBytes([jsonlogLine(1), jsonlogLine(2)]))
  const env = {
    AZURE_STORAGE_CONNECTION_STRING: storage.connectionString,
    TAILRACE_CONTAINER: 'logs',
    TAILRACE_PRIMARY: 'primary/',
    TAILRACE_METRICS_PORT: String(await freePort()),
    TAILRACE_BATCH_AGE_MS: '1000',
  }
  const options = { volume: await volume(t), env }
  const container = start(t, image.config.Cmd, options)
  const metrics = async (): Promise<string> =>
    (await fetch(`http://127.0.0.1:${env.TAILRACE_METRICS_PORT}/metrics`)).text()
  await eventually(
    () =>
      metrics().then(
        (text) => /^tailrace_rows_total\{.*\} 2$/m.test(text),
        () => false,
      ),
    'two landed rows in the metrics',
  )
  const healthcheck = async (): Promise<number | null> => {
    const probe = new Container(image, image.healthcheck, options)
    return probe.exited
  }
  assert.equal(await healthcheck(), 0)
  for (const path of probePaths()) {
    const { status } = await fetch(`http://127.0.0.1:${env.TAILRACE_METRICS_PORT}${path}`)
    assert.equal(status, 200, path)
  }
  const status = readFileSync(`/proc/${await container.pid}/status`, 'utf8')
  assert.match(status, /^NSpid:\t\d+\t1$/m)
  assert.match(status, /^CapEff:\t0+$/m)
  assert.equal(image.config.StopSignal, 'SIGTERM')
  const stoppedAt = Date.now()
  await container.kill('SIGTERM')
  assert.equal(await container.exited, 143, container.stderr)
  t.diagnostic(`stopped in ${Date.now() - stoppedAt} ms`)
  assert.equal(await healthcheck(), 1)

  const verified = start(t, ['verify', '--json'], options)
  assert.equal(await verified.exited, 0, verified.stderr)
  assert.equal(JSON.parse(verified.stdout).complete, true)
})

test('a container without its storage ends with the code of a wrong config and names the variable', {
  skip,
}, async (t) => {
  const env = { AZURE_STORAGE_ACCOUNT: 'mylogs' }
  const container = start(t, image.config.Cmd, { volume: await volume(t), env })
  assert.equal(await container.exited, 2, container.stderr)
  assert.match(container.stderr, /TAILRACE_PRIMARY/)
})

interface ComposeService {
  readonly entrypoint?: readonly string[]
  readonly environment: Readonly<Record<string, string>>
  readonly volumes: readonly string[]
}

/** The services of the compose file that are the image, as it describes them. */
async function composedServices(): Promise<Readonly<Record<'seed' | 'tailrace', ComposeService>>> {
  const script = 'import json, sys, yaml; print(json.dumps(yaml.safe_load(sys.stdin)["services"]))'
  const input = readFileSync(join(projectRoot, 'deploy/compose/compose.yaml'), 'utf8')
  return JSON.parse((await runTool(tools.python, ['-c', script], { input })).stdout)
}

test('the services of the compose file fill an empty storage with the sample logs and land them', {
  skip: skip === false ? skipUnless(toolsMissing('python')) : skip,
}, async (t) => {
  const storage = await startStorage(t)
  const { seed, tailrace } = await composedServices()
  const secret = join(await volume(t), 'storage')
  await writeFile(secret, storage.connectionString)
  const folder = join(projectRoot, 'deploy/compose')
  const mountsOf = ({ volumes }: ComposeService): Record<string, string> =>
    Object.fromEntries(
      volumes
        .filter((one) => one.startsWith('.'))
        .map((one) => one.split(':') as [string, string])
        .map(([from, path]) => [path, join(folder, from)]),
    )
  const filled = new Container(image, seed.entrypoint!, {
    volume: await volume(t),
    env: seed.environment,
    mounts: { ...mountsOf(seed), '/run/secrets/storage': secret },
  })
  assert.equal(await filled.exited, 0, filled.stderr)

  const container = start(t, ['start', '--once'], {
    volume: await volume(t),
    env: { ...tailrace.environment, TAILRACE_METRICS_PORT: String(await freePort()) },
    mounts: { '/run/secrets/storage': secret },
  })
  assert.equal(await container.exited, 0, container.stderr)
  const { pipelines } = JSON.parse(container.stdout)
  for (const server of ['primary', 'replica']) {
    const bytes = (await storage.content(`${server}.ndjson`)).length
    assert.equal(pipelines[server].bytes, bytes, server)
    assert.ok(pipelines[server].rows > 1_000, server)
  }
})
