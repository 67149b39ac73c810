import type { z as Zod } from 'zod'
import { logLevels } from '../reporting/logger.ts'
import { besideOthers, tooSmall } from '../reporting/option-mistakes.ts'
import type { Sink, SinkOptions } from '../sinks/sink.ts'
import { parseShard, type Shard } from '../sources/discovery/shard.ts'
import { sourceOptions } from '../sources/options.ts'
import { parseTableName, partitionMistake, type TableDeclaration } from '../tables/table.ts'
import type { CustomTransform } from '../transforms/record-transform.ts'
import { z } from '../zod.ts'
import { durationPattern, landEveryBounds, parseDuration } from './duration.ts'

const KiB = 1024
const MiB = 1024 * KiB
const hourMs = 3_600_000

/** Of requests to blob storage, in US dollars. */
export const defaultPrices = { per10kReads: 0.0044, per10kListings: 0.055 } as const

const whole = (min: number, max: number): Zod.ZodNumber => z.int().min(min).max(max)
const duration = (min: string, max: string) =>
  z
    .string("expected a duration, such as '15m' or '1h'")
    .regex(durationPattern, "expected a duration, such as '15m' or '1h'")
    .transform((text) => parseDuration(text)!)
    .refine(
      (ms) => ms >= parseDuration(min)! && ms <= parseDuration(max)!,
      `expected a duration from '${min}' to '${max}'`,
    )
const bytes = (min: number, max: number): Zod.ZodNumber => whole(min, max)

const isTransform = (value: unknown): boolean =>
  typeof value === 'function' ||
  (typeof value === 'object' &&
    value !== null &&
    typeof (value as { stream?: unknown }).stream === 'function')

function isTable(value: unknown): boolean {
  const { name, columns, projection } = (value ?? {}) as Partial<TableDeclaration>
  if (!Array.isArray(columns) || typeof projection?.select !== 'function') return false
  try {
    parseTableName(`${name?.catalog}.${name?.schema}.${name?.table}`)
    return true
  } catch {
    return false
  }
}

function isTableName(name: string): boolean {
  try {
    parseTableName(name)
    return true
  } catch {
    return false
  }
}

/** The options of a sink of one of several kinds. */
function sinkOptions(sinks: readonly Sink[]): Zod.ZodType<SinkOptions> {
  const [first, ...others] = sinks.map(({ options }) => options as Zod.core.$ZodTypeDiscriminable)
  return z.discriminatedUnion('kind', [first!, ...others]) as Zod.ZodType<SinkOptions>
}

/** @returns the schema of one pipeline with its defaults, for some kinds of sinks */
export const pipelineSchema = (sinks: readonly Sink[]) =>
  z
    .strictObject({
      source: sourceOptions,
      transforms: z
        .array(z.custom<CustomTransform>(isTransform, 'expected a function or { stream: () => Transform }'))
        .default([]),
      table: z
        .custom<TableDeclaration>(isTable, {
          error: 'expected a table declaration, such as postgresLogs(name)',
          abort: true,
        })
        .refine((table) => partitionMistake(table) === undefined, {
          error: ({ input }) => partitionMistake(input as TableDeclaration),
        }),
      sink: sinkOptions(sinks),
      whenFenced: z.enum(['wait', 'exit']).default('wait'),
      batch: z
        .strictObject({
          maxBytes: bytes(64 * KiB, 1024 * MiB).optional(),
          maxRows: whole(1, 100_000_000).default(1_000_000),
          maxAgeMs: whole(10, hourMs).optional(),
          landEvery: duration(...landEveryBounds).optional(),
        })
        .refine(({ maxAgeMs, landEvery }) => maxAgeMs === undefined || landEvery === undefined, {
          path: ['maxAgeMs'],
          error: 'found landEvery beside it, expected one of the two: either says when a batch is sealed',
        })
        .prefault({}),
    })
    .transform(({ batch, ...rest }) => {
      // The schema of the sink accepts no other kind.
      const sinkKind = sinks.find(({ kind }) => kind === rest.sink.kind)!
      const usual = sinkKind.batchDefaults(rest.sink)
      const { maxBytes = usual.maxBytes, maxRows } = batch
      const landEveryMs = batch.landEvery ?? (batch.maxAgeMs === undefined ? usual.landEveryMs : undefined)
      // No record waits longer than from one multiple to the next.
      const maxAgeMs = landEveryMs ?? batch.maxAgeMs ?? usual.maxAgeMs
      return { ...rest, sinkKind, batch: { maxBytes, maxRows, maxAgeMs, landEveryMs } }
    })

/** The options of the page with their defaults. */
export const pageSchema = z.strictObject({
  port: whole(0, 65_535).default(8_787),
  host: z.string().min(1).max(253).default('127.0.0.1'),
  hosts: z.array(z.string().min(1).max(253)).max(100).default([]),
  token: z.string().min(16).max(1_000).optional(),
  memoryMiB: whole(128, 65_536).default(512),
})

/** @returns the schema of a config with its defaults. It does not check the names of pipelines: `resolveConfig` does */
export const configSchema = (sinks: readonly Sink[]) =>
  z.strictObject({
    pipelines: z
      // No schema for the names: zod would not validate the pipeline behind an invalid name.
      .record(z.string(), pipelineSchema(sinks))
      .refine((pipelines) => Object.keys(pipelines).length > 0, 'expected at least one pipeline'),
    stateDirectory: z.string().min(1).default('./.tailrace'),
    shard: z
      .string()
      .transform((text, context): Shard => {
        const shard = parseShard(text)
        if (typeof shard !== 'string') return shard
        context.issues.push({ code: 'custom', message: shard, input: text })
        return z.NEVER
      })
      .optional(),
    disk: z
      .strictObject({
        minFreeBytes: bytes(0, Number.MAX_SAFE_INTEGER).default(512 * MiB),
        resumeFreeBytes: bytes(0, Number.MAX_SAFE_INTEGER).optional(),
        checkMs: whole(100, 600_000).default(5_000),
        expireMs: whole(60_000, 30 * 24 * hourMs).default(hourMs),
      })
      .refine(({ minFreeBytes, resumeFreeBytes = minFreeBytes }) => resumeFreeBytes >= minFreeBytes, {
        path: ['resumeFreeBytes'],
        error: ({ input }) => tooSmall(input, 'resumeFreeBytes', 'minFreeBytes', 'disk.'),
        ...besideOthers('minFreeBytes', 'resumeFreeBytes'),
      })
      .prefault({}),
    metrics: z
      .strictObject({
        port: whole(0, 65_535),
        host: z.string().min(1).max(253).default('127.0.0.1'),
        prices: z
          .strictObject({
            per10kReads: z.number().min(0).max(1_000).default(defaultPrices.per10kReads),
            per10kListings: z.number().min(0).max(1_000).default(defaultPrices.per10kListings),
          })
          .prefault({}),
      })
      .optional(),
    runs: z
      .strictObject({
        table: z.string().refine(isTableName, 'expected catalog.schema.table, of letters, digits, _ and -'),
      })
      .optional(),
    page: z
      .union([z.literal(false), pageSchema], {
        error:
          'expected false, or { port, host, hosts, token, memoryMiB } with a token of 16 or more characters and 128 or more MiB',
      })
      .prefault({}),
    health: z
      .strictObject({
        maxSilentMs: whole(100, hourMs).default(30_000),
        maxStallMs: whole(100, 24 * hourMs).default(300_000),
      })
      .prefault({}),
    stopMs: whole(0, hourMs).default(30_000),
    restart: z
      .strictObject({
        minPauseMs: whole(10, hourMs).default(5_000),
        maxPauseMs: whole(10, 24 * hourMs).default(300_000),
      })
      .refine(({ minPauseMs, maxPauseMs }) => maxPauseMs >= minPauseMs, {
        path: ['maxPauseMs'],
        error: ({ input }) => tooSmall(input, 'maxPauseMs', 'minPauseMs', 'restart.'),
        ...besideOthers('minPauseMs', 'maxPauseMs'),
      })
      .prefault({}),
    logLevel: z.enum(logLevels).default('info'),
  })
