/** Databricks takes tags of up to this many characters. */
const longestTag = 128

/** What the workspace's query history shows beside a statement; a tag without a value is left out. */
export function queryTags(tags: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(tags).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, value.slice(0, longestTag)] as const],
    ),
  )
}
