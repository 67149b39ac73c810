import type { JSX } from 'preact'
import type { About } from '../../api.ts'
import { Empty, Waiting } from '../parts/basics.tsx'
import { useLive } from '../state/live.ts'
import { BlobTable } from './blob-table.tsx'
import { CommitTimeline } from './commit-timeline.tsx'
import { PipelineCard } from './pipeline-card.tsx'
import { RejectedRows } from './rejected-rows.tsx'
import { Verification } from './verification.tsx'

/** What lands now, what does not, and why. */
export function Operate({ about }: { readonly about: About | undefined }): JSX.Element {
  const { operate, rates, connection } = useLive()
  if (operate === undefined)
    return (
      <>
        <Head />
        {connection === 'lost' ? (
          <Empty title="Tailrace does not answer" icon="warn">
            <p>Check that its process runs. The page goes on by itself when it is back.</p>
          </Empty>
        ) : (
          <div class="stack">
            <Waiting height={236} />
            <Waiting height={220} />
          </div>
        )}
      </>
    )
  const { pipelines, blobs, commits, atMs } = operate
  const rejected = pipelines.reduce((sum, { live }) => sum + (live?.rejected ?? 0) + (live?.partial ?? 0), 0)
  return (
    <>
      <Head />
      <div class={`stack ${connection === 'lost' ? 'stale' : ''}`}>
        {pipelines.length === 0 ? (
          <Empty title="The config has no pipelines">
            <p>
              Add one to <code>pipeline.config.ts</code>, or write a first one with <code>tailrace init</code>
              .
            </p>
          </Empty>
        ) : (
          <div class="pipelines">
            {pipelines.map((pipeline) => (
              <PipelineCard
                key={pipeline.name}
                pipeline={pipeline}
                rates={rates.get(pipeline.name) ?? []}
                nowMs={atMs}
                isTailing={about?.isTailing !== false}
              />
            ))}
          </div>
        )}
        <CommitTimeline commits={commits} pipelines={pipelines.map(({ name }) => name)} nowMs={atMs} />
        <BlobTable blobs={blobs} nowMs={atMs} />
        {about?.unavailable === undefined && <RejectedRows seen={rejected} />}
        <Verification pipelines={pipelines.map(({ name }) => name)} />
      </div>
    </>
  )
}

function Head(): JSX.Element {
  return (
    <div class="room-head">
      <h1>Operate</h1>
    </div>
  )
}
