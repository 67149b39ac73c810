/** The formats of results that are text. Apart from the code that writes them, because the command line lists them. */
export const textFormats = ['table', 'json', 'ndjson', 'csv', 'markdown', 'html'] as const
export type TextFormat = (typeof textFormats)[number]
