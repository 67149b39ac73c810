import { TailraceError } from '../../../errors.ts'
import type { WorkspaceAddress } from '../workspace/auth.ts'
import type { DriverFailure, StatementPhase } from './driver-error.ts'

/** Where a statement failed. */
export interface FailurePlace {
  readonly address: Pick<WorkspaceAddress, 'host' | 'httpPath'>
  readonly phase: StatementPhase
  /** Whether the statement is a PUT or a REMOVE, which the client executes against the volume's storage. */
  readonly isStaging: boolean
  /** The host of the volume's storage, if the driver has connected to it. */
  readonly storageHost: string | undefined
  /** Id in the workspace's query history. */
  readonly queryId: string | undefined
}

/** Wordings for a missing right on the warehouse, as opposed to a refused token. */
const lacksRight = /does not have|CAN[_ ]USE|permission to (?:use|access|start|autostart)/i

/** Classes and wordings for a warehouse that does not exist. */
const noWarehouse =
  /RESOURCE_DOES_NOT_EXIST|ENDPOINT_NOT_FOUND|does not exist|No (?:cluster|warehouse) found/i

/**
 * Explains a failure whose cause is the setup of the workspace: no right on the warehouse, a wrong id, a storage firewall.
 *
 * @returns undefined for any other failure
 */
export function setupError(failure: DriverFailure, place: FailurePlace): TailraceError | undefined {
  const { status, summary, executed, retryAfterMs } = failure
  const { address, phase, queryId } = place
  const error = (code: 'WAREHOUSE_DENIED' | 'WAREHOUSE_MISSING' | 'WAREHOUSE_UNAVAILABLE', message: string) =>
    new TailraceError(code, message, { context: { status, executed, queryId, retryAfterMs } })
  const id = warehouseId(address.httpPath)
  const isBefore = phase === 'session' || phase === 'send'
  if (isBefore && isMissingRight(failure)) {
    return error(
      'WAREHOUSE_DENIED',
      `The principal lacks CAN USE on the SQL warehouse ${id} of ${address.host}: ${summary}.`,
    )
  }
  if (isBefore && !failure.sessionLost && (status === 404 || (status === 400 && noWarehouse.test(summary)))) {
    return error(
      'WAREHOUSE_MISSING',
      `${address.host} has no SQL warehouse ${id}: ${summary}. Check sink.httpPath (found ${address.httpPath}).`,
    )
  }
  const storage = storageOf(failure, place)
  if (storage === undefined) return undefined
  const remedy = "Its firewall has to admit this machine; `sink.upload: 'files-api'` needs no way to it."
  return failure.kind === 'passing'
    ? error(
        'WAREHOUSE_UNAVAILABLE',
        `The volume's storage ${storage} does not answer: ${summary}. If that lasts: ${remedy}`,
      )
    : error(
        'WAREHOUSE_DENIED',
        `The volume's storage ${storage} refused a staged file: ${summary}. ${remedy}`,
      )
}

/** @returns the storage that refused a request of the driver, or did not answer it; undefined for any other failure */
function storageOf(
  { kind, status, tokenRefused, peer }: DriverFailure,
  { address, phase, isStaging, storageHost }: FailurePlace,
): string | undefined {
  if (!isStaging || phase !== 'send') return undefined
  // Without a status nothing answered, and the error names the host. A refusal of the workspace has a response.
  if (status === undefined) return peer === address.host ? undefined : peer
  const isRefusal = kind === 'denied' && !tokenRefused && (status === 401 || status === 403)
  return isRefusal ? (storageHost ?? 'account') : undefined
}

/** @returns whether a request was refused for a missing right and not for its token */
export function isMissingRight({ status, summary }: Pick<DriverFailure, 'status' | 'summary'>): boolean {
  return status === 403 && lacksRight.test(summary)
}

/** @returns the message for a token that was refused twice */
export function tokenRefusal(
  { host, httpPath }: Pick<WorkspaceAddress, 'host' | 'httpPath'>,
  { status, summary }: Pick<DriverFailure, 'status' | 'summary'>,
): string {
  const location = `${host}${httpPath}`
  return status === 403
    ? `${location} refused the token, or its principal lacks CAN USE on the warehouse: ${summary}`
    : `${location} refused the token: ${summary}`
}

/** @returns the id of a warehouse, the last part of its HTTP path */
export function warehouseId(httpPath: string): string {
  return /([^/?]+)\/?(?:\?.*)?$/.exec(httpPath)?.[1] ?? httpPath
}
