import type { LinesFile } from '../measures/lines.ts'

export async function profileTailrace(lines: LinesFile, scratch: string): Promise<string> {
  return `${lines.path} ${scratch}`
}
