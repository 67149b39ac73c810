import { retryLog } from '../../reporting/retry-log.ts'
import type { OpenedUnitStore, OpenSink } from '../sink.ts'
import { requireStaging, unitFilesOf } from './open-staging.ts'
import { openWorkspace } from './open-workspace.ts'
import type { DatabricksOptions } from './options.ts'

/** Opens the volume for the files of units. With `upload: 'files-api'` no statement is sent. */
export async function openUnitStore(context: OpenSink<DatabricksOptions>): Promise<OpenedUnitStore> {
  const { target, signal, clock, logger } = context
  const onRetry = retryLog(logger, 'the workspace failed')
  const workspace = await openWorkspace(target, { retry: { onRetry }, signal, clock, logger })
  const files = unitFilesOf(context, requireStaging(workspace.staging, target.sink.mode))
  const store = {
    storeUnit: files.store.bind(files),
    releaseCaches: async (): Promise<void> => {},
    close: () => workspace.close(),
  }
  return { store, encodedFiles: 'whole', directories: [] }
}
