import { type Context, Hono } from 'hono'
import { getCookie, setCookie } from 'hono/cookie'
import { version } from '../package.ts'
import type { About } from './api.ts'
import { addRoutes, maxRecords, type RouteOptions } from './api-routes.ts'
import { Access, type AccessOptions } from './http/access.ts'
import { type Asset, readAssets } from './http/assets.ts'
import { failureOf, RequestFailure } from './http/failures.ts'
import { jsonBody } from './http/json-body.ts'
import { TokenGate } from './http/token-gate.ts'
import { recordedRange } from './logs/found-tables.ts'
import type { LogTables } from './logs/log-tables.ts'
import { sqlLimits } from './sql/statement-runs.ts'

export interface PageAppOptions extends RouteOptions {
  readonly access: AccessOptions
  /** The directory of the built page. */
  readonly uiDirectory: string
}

const cookieName = 'tailrace'

const securityHeaders: Readonly<Record<string, string>> = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'x-frame-options': 'DENY',
}

const notBuilt = `The page has not been built. In a clone: pnpm build.
The API answers all the same: GET /api/about
`

/** The page and its API, without a server. Nothing that it answers changes data. */
export function pageApp(options: PageAppOptions): Hono {
  const { clock, logger, operate } = options
  const access = new Access(options.access)
  const gate = new TokenGate(clock)
  const isAllowed = async (context: Context): Promise<boolean> => {
    const authorization = context.req.header('authorization')
    const cookie = getCookie(context, cookieName)
    const judge = () => access.isAllowed({ authorization, cookie })
    return authorization === undefined && cookie === undefined ? judge() : gate.pass(judge)
  }
  const app = new Hono()
  let assets: Promise<ReadonlyMap<string, Asset>> | undefined

  app.onError((error, context) => {
    const { status, body, isUnexpected } = failureOf(error)
    if (isUnexpected) logger.error({ err: error, path: context.req.path }, 'a request of the page failed')
    return context.json(body, status)
  })
  app.notFound((context) => {
    const { body } = failureOf(new RequestFailure('NOT_FOUND', `There is no ${context.req.path}.`))
    return context.json(body, 404)
  })

  app.use(async (context, next) => {
    access.checkHost(context.req.header('host'))
    await next()
    for (const [name, value] of Object.entries(securityHeaders)) context.res.headers.set(name, value)
    if (!context.res.headers.has('cache-control')) context.res.headers.set('cache-control', 'no-store')
  })

  app.use('/api/*', async (context, next) => {
    const { req } = context
    access.checkSite({
      host: req.header('host'),
      origin: req.header('origin'),
      fetchSite: req.header('sec-fetch-site'),
    })
    const isOpen = req.path === '/api/about' || req.path === '/api/login'
    if (!isOpen && !(await isAllowed(context))) throw new RequestFailure('UNAUTHORIZED', 'A token is needed.')
    await next()
  })

  app.post('/api/login', async (context) => {
    const { token } = ((await jsonBody(context.req.raw)) ?? {}) as { readonly token?: unknown }
    const session = await gate.pass(() => (typeof token === 'string' ? access.login(token) : undefined))
    if (session === undefined) throw new RequestFailure('UNAUTHORIZED', 'The token is wrong.')
    const isSecure = context.req.header('x-forwarded-proto') === 'https'
    setCookie(context, cookieName, session, {
      httpOnly: true,
      sameSite: 'Strict',
      secure: isSecure,
      path: '/',
    })
    return context.body(null, 204)
  })

  app.get('/api/about', async (context) => {
    const isKnown = await isAllowed(context)
    const about: About = {
      version,
      nowMs: clock.now(),
      isTailing: isKnown && (await operate()).pipelines.some(({ live }) => live !== undefined),
      records: isKnown ? await recordsOf(options.tables) : undefined,
      unavailable: isKnown && typeof options.tables === 'string' ? options.tables : undefined,
      ask: {
        isAvailable: isKnown && options.statements !== undefined,
        note: isKnown ? options.statements?.note : undefined,
      },
      needsToken: !isKnown,
      limits: { ...sqlLimits, maxSqlMs: options.statements?.limit.maxMs ?? 0, maxRecords },
    }
    return context.json(about)
  })

  addRoutes(app, options)

  app.get('*', async (context, next) => {
    if (context.req.path.startsWith('/api/')) return next()
    assets ??= readAssets(options.uiDirectory)
    const files = await assets
    if (files.size === 0) {
      assets = undefined
      return context.req.path === '/' ? context.text(notBuilt, 503) : next()
    }
    // The rooms are paths of the one page.
    const isRoom = !/\.\w+$/.test(context.req.path)
    const asset = files.get(context.req.path) ?? (isRoom ? files.get('/') : undefined)
    if (asset === undefined) return next()
    const takesGzip = /\bgzip\b/.test(context.req.header('accept-encoding') ?? '')
    context.header('vary', 'accept-encoding')
    context.header('content-type', asset.type)
    context.header('cache-control', asset.isImmutable ? 'public, max-age=31536000, immutable' : 'no-cache')
    if (takesGzip) context.header('content-encoding', 'gzip')
    return context.body(takesGzip ? asset.gzipped : asset.bytes)
  })
  return app
}

async function recordsOf(tables: LogTables | string): Promise<About['records']> {
  if (typeof tables === 'string') return undefined
  const found = await tables.find()
  const range = recordedRange(found)
  const count = found.reduce((sum, { files }) => files.reduce((n, { rows = 0 }) => n + rows, sum), 0)
  return range && { count, ...range }
}
