import type { ComponentChildren, JSX } from 'preact'
import type { CountedCode, LivePipeline, PipelineSummary } from '../../api-operate.ts'
import { Icon } from '../parts/icons.tsx'
import { agoText, bytesText, countText, lengthText, noValue, shortCount, shownText } from '../state/format.ts'
import type { RatePoint } from '../state/live.ts'
import { RateLine } from './rate-line.tsx'

/** The state of one pipeline at a glance. */
export function PipelineCard(props: {
  readonly pipeline: PipelineSummary
  readonly rates: readonly RatePoint[]
  readonly nowMs: number
  readonly isTailing: boolean
}): JSX.Element {
  const { pipeline, rates, nowMs, isTailing } = props
  const { name, table, live, failure } = pipeline
  return (
    <section class="card pipeline" aria-label={`Pipeline ${name}`}>
      <div class="pipeline-head">
        <div>
          <h2>{name}</h2>
          <p class="faint mono">{table}</p>
        </div>
        <StateBadge pipeline={pipeline} />
      </div>
      {failure !== undefined && (
        <div class="note bad">
          <Icon name="warn" />
          <div>
            <p>
              <strong>{failure.code}</strong>: {shownText(failure.reason)}
            </p>
            <p>{failure.hint}</p>
          </div>
        </div>
      )}
      {live?.outage !== undefined && (
        <div class="note warn">
          <Icon name="warn" />
          <p>
            Storage has not answered for {lengthText(nowMs - live.outage.sinceMs)}
            {live.outage.reason !== undefined && `: ${shownText(live.outage.reason)}`}. Reading goes on by
            itself.
          </p>
        </div>
      )}
      {live?.disk.isHeld === true && (
        <div class="note warn">
          <Icon name="warn" />
          <p>
            Held since {lengthText(nowMs - (live.disk.heldSinceMs ?? nowMs))}: the disk has{' '}
            {bytesText(live.disk.freeBytes ?? 0)} left, and {bytesText(live.disk.minFreeBytes ?? 0)} must stay
            free. It goes on when there is room.
          </p>
        </div>
      )}
      {live === undefined ? (
        failure === undefined && (
          <p class="soft pipeline-idle">
            {isTailing
              ? 'No process runs this pipeline.'
              : 'Nothing tails now: these are the tables as they are.'}{' '}
            Start it with <code>tailrace start</code>.
          </p>
        )
      ) : (
        <>
          <div class="rate">
            <div>
              <div class="big number">
                {shortCount(Math.round(live.rowsPerSecond))} <span class="unit">rows/s</span>
              </div>
              <div class="soft number">{bytesText(live.bytesPerSecond)}/s</div>
            </div>
            <RateLine points={rates} />
          </div>
          <LiveFigures live={live} nowMs={nowMs} />
        </>
      )}
    </section>
  )
}

function StateBadge({ pipeline: { state, live } }: { readonly pipeline: PipelineSummary }): JSX.Element {
  if (live?.disk.isHeld === true) return <span class="badge warn">held: disk</span>
  if (live?.outage !== undefined) return <span class="badge warn">storage outage</span>
  const tones = {
    following: 'good',
    backfill: 'busy',
    starting: 'busy',
    failed: 'bad',
    'not running': '',
  } as const
  const left = live?.leftSeconds === undefined ? '' : `, ${lengthText(live.leftSeconds * 1_000)} left`
  const text =
    state === 'backfill' && live?.percent !== undefined ? `backfill ${live.percent} %${left}` : state
  return <span class={`badge ${tones[state]}`}>{text}</span>
}

function LiveFigures({ live, nowMs }: { readonly live: LivePipeline; readonly nowMs: number }): JSX.Element {
  const { disk, cost, lastCommitMs, tableVersion } = live
  return (
    <dl class="figures">
      <Figure
        label="Lag"
        meaning="Bytes of the blobs that have not landed yet"
        note={live.lagBytes === 0 ? undefined : `${lengthText(live.lagSeconds * 1_000)} behind`}
      >
        {bytesText(live.lagBytes)}
      </Figure>
      <Figure
        label="Last commit"
        note={tableVersion === undefined ? undefined : `version ${countText(tableVersion)}`}
      >
        {lastCommitMs === undefined ? noValue : agoText(nowMs - lastCommitMs)}
      </Figure>
      <Figure label="Rows" note={`${bytesText(live.bytes)} read`}>
        {shortCount(live.rows)}
      </Figure>
      <Figure
        label="Rejected"
        tone={live.rejected > 0 ? 'bad' : undefined}
        note={live.partial > 0 ? `${countText(live.partial)} partial` : undefined}
      >
        {shortCount(live.rejected)}
      </Figure>
      <Figure
        label="Lanes"
        meaning="Blobs that are read now; queued ones wait for a lane"
        tone={live.setAsideBlobs > 0 ? 'warn' : undefined}
        note={
          live.setAsideBlobs > 0
            ? `${countText(live.setAsideBlobs)} set aside`
            : `${countText(live.queuedBlobs)} queued`
        }
      >
        {countText(live.lanes)}
      </Figure>
      <Figure
        label="Waiting"
        meaning="Rows that were read and are not committed yet"
        note={`${bytesText(live.bufferedBytes)} buffered`}
      >
        {shortCount(live.waitingRows)} <span class="unit">rows</span>
      </Figure>
      <Figure
        label="Disk"
        meaning="The gate stops reading before the disk is full"
        tone={disk.isHeld ? 'warn' : undefined}
        note={disk.isHeld ? 'gate held' : 'gate open'}
      >
        {disk.freeBytes === undefined ? noValue : bytesText(disk.freeBytes)} <span class="unit">free</span>
      </Figure>
      <Figure label="Retries" tone={live.failures.length > 0 ? 'warn' : undefined} note={codesText(live)}>
        {countText(sumOf(live.retries))}
      </Figure>
      <Figure
        label="Storage cost"
        meaning="Estimated from the requests of this process"
        note={`${countText(cost.requests)} requests`}
      >
        ${cost.usdPerDay.toFixed(cost.usdPerDay < 10 ? 2 : 0)} <span class="unit">a day</span>
      </Figure>
    </dl>
  )
}

function Figure(props: {
  readonly label: string
  /** What it counts, where the label alone does not say so. */
  readonly meaning?: string
  readonly tone?: 'warn' | 'bad' | undefined
  readonly note?: string | undefined
  readonly children: ComponentChildren
}): JSX.Element {
  return (
    <div class={props.tone === undefined ? '' : `tone-${props.tone}`}>
      <dt title={props.meaning}>{props.label}</dt>
      <dd class="number">{props.children}</dd>
      <dd class="figure-note number">{props.note ?? '\u00a0'}</dd>
    </div>
  )
}

function sumOf(codes: readonly CountedCode[]): number {
  return codes.reduce((sum, { count }) => sum + count, 0)
}

function codesText({ retries, failures }: LivePipeline): string | undefined {
  const [most] = [...failures, ...retries].toSorted((a, b) => b.count - a.count)
  return most === undefined ? 'none' : `${most.code} ${countText(most.count)}`
}
