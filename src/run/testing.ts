/** Tests of a config without storage and tables: `import { landInMemory, transformLines } from 'tailrace/testing'`. */

export type { ResolvedConfig } from '../config/resolved.ts'
export { type LandedOffset, LandedOffsets } from '../offsets/landed-offsets.ts'
export type { Logger } from '../reporting/logger.ts'
export type { JsonRow } from '../sinks/encoding/engine.ts'
export {
  type CustomTransform,
  type JsonObject,
  type JsonValue,
  type LogRecord,
  type TestedPlace,
  type TransformedRecord,
  transformLines,
} from '../streams/transform-lines.ts'
export { type LandInMemoryOptions, landInMemory } from './in-memory/land-in-memory.ts'
export { MemoryBlobs } from './in-memory/memory-blobs.ts'
export { MemoryTable } from './in-memory/memory-table.ts'
