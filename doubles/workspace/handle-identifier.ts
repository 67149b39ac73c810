import { randomBytes } from 'node:crypto'
import types from '@databricks/sql/thrift/TCLIService_types.js'

/** A UUID as the wire carries it; the driver checks that its sixteen bytes are one. */
export function handleIdentifier(id: string): InstanceType<typeof types.THandleIdentifier> {
  return new types.THandleIdentifier({
    guid: Buffer.from(id.replaceAll('-', ''), 'hex'),
    secret: randomBytes(16),
  })
}

/** The UUID of a handle. */
export function handleId({ guid }: InstanceType<typeof types.THandleIdentifier>): string {
  return guid.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}
