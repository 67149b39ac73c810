import { primaryConfig } from '../support/primary-config.mjs'

/** A pipeline that archives every offset that has not changed for a day. */
export default primaryConfig({ archiveOffsets: { afterDays: 1, minOffsets: 1 } })
