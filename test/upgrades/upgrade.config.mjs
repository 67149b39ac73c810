import { primaryConfig } from '../support/primary-config.mjs'

/** The pipeline whose files are kept in the folders `format-…`. */
export default primaryConfig({ archiveOffsets: { afterDays: 1, minOffsets: 1 } })
