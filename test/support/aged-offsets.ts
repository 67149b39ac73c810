import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/** Makes the offsets of a Delta table three days older. @param log the table's `_delta_log` */
export async function ageOffsets(log: string): Promise<void> {
  for (const name of await readdir(log)) {
    if (!/^\d+\.json$/.test(name)) continue
    const path = join(log, name)
    const actions = await readFile(path, 'utf8')
    await writeFile(
      path,
      actions.replace(/"lastUpdated":(\d+)/g, (_, ms) => `"lastUpdated":${Number(ms) - 3 * 86_400_000}`),
    )
  }
}
