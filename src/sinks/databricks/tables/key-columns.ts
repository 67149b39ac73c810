/** Columns that identify a row. */
export const keyColumns = ['source_blob', 'source_generation', 'source_offset', 'source_index'] as const
