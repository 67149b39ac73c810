import { execFile } from 'node:child_process'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { projectDirectory } from '../measured-process.ts'
import { type BenchResults, parts } from '../parts.ts'
import { readmeRows } from './readme-rows.ts'
import { reportSections } from './report.ts'

/** The results that the pages show, with every single run; relative to the project. */
export const publishedResults = 'bench/results/results.json'

/** The pages with places for sections of the report. */
export const pagesWithResults = ['docs/benchmarks.md', 'bench/README.md', 'README.md'] as const

/**
 * Puts the results of a run among the published ones, part by part, and writes the pages anew from these.
 *
 * @param file results of the last run
 * @throws Error when a part of it was measured with `--smoke`
 */
export async function publish(file: string): Promise<void> {
  const measured = JSON.parse(await readFile(file, 'utf8')) as BenchResults
  const small = parts.filter((part) => measured[part]?.isSmoke)
  if (small.length > 0) throw new Error(`These parts were measured in small: ${small.join(', ')}.`)
  const path = join(projectDirectory, publishedResults)
  const published = await readFile(path, 'utf8').catch(() => '{}')
  const results: BenchResults = { ...(JSON.parse(published) as BenchResults), ...measured }
  await mkdir(join(path, '..'), { recursive: true })
  await writeFile(path, `${JSON.stringify(results, null, 2)}\n`)
  for (const page of pagesWithResults) {
    const pagePath = join(projectDirectory, page)
    await writeFile(pagePath, pageWithResults(await readFile(pagePath, 'utf8'), results))
  }
  const format = ['biome', 'check', '--write', publishedResults, ...pagesWithResults]
  await promisify(execFile)(join('node_modules', '.bin', format[0]!), format.slice(1), {
    cwd: projectDirectory,
  })
}

/**
 * Replaces the text between `<!-- bench:NAME -->` and `<!-- /bench -->` by the report's section of that name. Where the
 * section's part was not measured, the text stays.
 */
export function pageWithResults(page: string, results: BenchResults): string {
  const sections = reportSections(results)
  return page.replaceAll(
    /(<!-- bench:([a-z-]+) -->\n)(.*?)(\n<!-- \/bench -->)/gs,
    (_, begin: string, name: string, text: string, end: string) => {
      const section = name === 'readme' ? readmeRows(results, text) : sections.get(name)
      return `${begin}${section === undefined ? text : `\n${section}\n`}${end}`
    },
  )
}
