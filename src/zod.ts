import { createRequire } from 'node:module'
import type * as Zod from 'zod'

// The CommonJS build loads in less than half the time of the ES modules, of which there are a hundred. It shortens the
// start of every command.
const zod = createRequire(import.meta.url)('zod') as typeof Zod

/** Builds schemas that check configs and state files. */
export const { z } = zod
