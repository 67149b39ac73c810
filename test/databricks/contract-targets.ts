import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DuckDbWarehouse } from '../../doubles/workspace/duckdb-warehouse.ts'
import { DiskVolumes } from '../../doubles/workspace/volume-files.ts'
import { Workspace } from '../../doubles/workspace/workspace.ts'
import { type Clock, systemClock } from '../../src/clock.ts'
import type { DatabricksSinkConfig } from '../../src/sinks/databricks/options.ts'
import type { WorkspaceAddress } from '../../src/sinks/databricks/workspace/auth.ts'

/** A statement that is held in the middle of its work. */
export interface HeldStatement {
  /** Settles when it is. */
  readonly reached: Promise<void>
  /** A clock whose pauses let it go on, and take no time. */
  readonly clock: Clock
}

/** A workspace, with what a config says of it. */
export interface TargetWorkspace {
  readonly sink: Pick<DatabricksSinkConfig, 'host' | 'httpPath' | 'auth' | 'volume' | 'customCaFile'>
  readonly address: WorkspaceAddress
  readonly catalog: string
  readonly schema: string
  readonly volume: string
  /** What mode zerobus needs beside; undefined where it cannot be asked. */
  readonly zerobus: Pick<DatabricksSinkConfig, 'auth' | 'zerobus'> | undefined
  /** Holds the next statement that matches; undefined where nobody can. */
  readonly hold: ((statement: RegExp) => HeldStatement) | undefined
  /** Ends it, where it is ours. */
  close(): Promise<void>
}

/** Something that the contract has to hold for. */
export interface ContractTarget {
  readonly name: string
  /** Why it cannot be asked here. */
  readonly skip: string | false
  /** Why Zerobus of it cannot be asked. */
  readonly zerobusSkip: string | false
  /** @param directory for files of its own; it outlasts the workspace */
  open(directory: string): Promise<TargetWorkspace>
}

const prefix = 'TAILRACE_DATABRICKS_'

/** The workspace that the environment names, and the one on the loopback, which is always there. */
export function contractTargets(environment: NodeJS.ProcessEnv): readonly ContractTarget[] {
  return [{ name: 'loopback', skip: false, zerobusSkip: false, open: openLoopback }, realTarget(environment)]
}

function realTarget(environment: NodeJS.ProcessEnv): ContractTarget {
  const value = (name: string): string => environment[`${prefix}${name}`] ?? ''
  const missing = ['HOST', 'HTTP_PATH', 'VOLUME', 'SCHEMA']
    .filter((name) => value(name) === '')
    .map((name) => `${prefix}${name}`)
  const hasSecret = value('CLIENT_ID') !== '' && value('CLIENT_SECRET') !== ''
  if (value('TOKEN') === '' && !hasSecret) missing.push(`${prefix}TOKEN (or _CLIENT_ID and _CLIENT_SECRET)`)
  const auth = hasSecret
    ? ({ kind: 'oauth', clientId: value('CLIENT_ID'), clientSecret: value('CLIENT_SECRET') } as const)
    : ({ kind: 'token', token: value('TOKEN') } as const)
  const skip = missing.length === 0 ? false : (`no workspace is named: ${missing.join(', ')}` as const)
  const zerobusHost = value('ZEROBUS_HOST')
  const hasZerobus = zerobusHost !== '' && hasSecret
  return {
    name: 'real',
    skip,
    zerobusSkip:
      skip === false && !hasZerobus
        ? `no Zerobus is named: ${prefix}ZEROBUS_HOST, ${prefix}CLIENT_ID and ${prefix}CLIENT_SECRET`
        : skip,
    open: async () => {
      const [catalog, schema] = value('SCHEMA').split('.')
      if (catalog === undefined || schema === undefined)
        throw new Error(`${prefix}SCHEMA is not catalog.schema`)
      const [httpPath, volume] = [value('HTTP_PATH'), value('VOLUME').replace(/\/$/, '')]
      const [host = '', port] = value('HOST').split(':')
      return {
        sink: { host: value('HOST'), httpPath, auth, volume },
        address: { host, ...(port === undefined ? {} : { port: Number(port) }), httpPath, auth },
        catalog,
        schema,
        volume,
        zerobus: hasZerobus ? { auth, zerobus: { host: zerobusHost } } : undefined,
        hold: undefined,
        close: async () => {},
      }
    },
  }
}

const catalog = 'lake'
const schema = 'contract'

async function openLoopback(directory: string): Promise<TargetWorkspace> {
  const root = join(directory, 'volumes')
  await mkdir(root)
  const volumes = new DiskVolumes(root)
  await volumes.create(catalog, schema, 'staging')
  const engine = await DuckDbWarehouse.open({ volumes })
  const nobody = {
    parameters: [],
    catalog: undefined,
    schema: undefined,
    signal: new AbortController().signal,
  }
  await engine.execute(`CREATE CATALOG ${catalog}`, nobody)
  await engine.execute(`CREATE SCHEMA ${catalog}.${schema}`, nobody)
  const workspace = await Workspace.start({ engine, volumes, zerobus: engine })
  const customCaFile = join(directory, 'ca.pem')
  await writeFile(customCaFile, workspace.ca)
  const { host, port, httpPath, ca, tokens } = workspace
  const auth = { kind: 'token', token: tokens.personal } as const
  const volume = `/Volumes/${catalog}/${schema}/staging`
  return {
    sink: { host: `${host}:${port}`, httpPath, auth, volume, customCaFile },
    address: { host, port, httpPath, auth, customCa: ca },
    catalog,
    schema,
    volume,
    zerobus: {
      auth: { kind: 'oauth', clientId: tokens.clientId, clientSecret: tokens.clientSecret },
      zerobus: { host: workspace.zerobusHost, workspaceId: '1234567890123456' },
    },
    hold: (statement) => {
      const held = engine.holdNext(statement)
      const letGo = async (): Promise<void> => held.release()
      return { reached: held.reached, clock: { ...systemClock, sleep: letGo } }
    },
    close: async () => {
      const left = [
        ...(await engine.rows(
          "SELECT table_name AS name FROM information_schema.tables WHERE table_name LIKE 'tailrace%'",
        )),
        ...(await volumes.list(volume)).map(({ path }) => ({ name: path })),
      ]
      await workspace.close()
      await engine.close()
      assert.deepEqual(left, [], 'a real workspace would keep these')
    },
  }
}
