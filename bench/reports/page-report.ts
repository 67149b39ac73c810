import { maxPeakRssBytes, type PageQuestion, type PageResult, pageQuestions } from '../measures/page.ts'
import { markdownTable } from './markdown-table.ts'
import { count, megabytes } from './quantities.ts'
import { median } from './statistics.ts'

/** Seconds in which an answer has to come. */
const goals: Partial<Readonly<Record<PageQuestion, number>>> = { first: 2, frequent: 3, rare: 3 }

/** How much slower landing may be while somebody asks. */
const maxSlowdown = 1.1

export function pageSection(result: PageResult): string {
  const { rows, days, files, tableBytes, answers, peakRssBytes, landing } = result
  const table = markdownTable(
    [
      `${count(rows)} records of ${days} days in ${files} files, ${megabytes(tableBytes)} MB`,
      'runs',
      'median s',
      'slowest s',
      'goal s',
      'median CPU s',
    ],
    (Object.keys(pageQuestions) as PageQuestion[]).map((question) => {
      const all = answers[question].map(({ tookMs }) => tookMs)
      return [
        pageQuestions[question],
        String(all.length),
        (median(all) / 1_000).toFixed(2),
        (Math.max(...all) / 1_000).toFixed(2),
        goals[question]?.toString() ?? '',
        (median(answers[question].map(({ cpuMs }) => cpuMs)) / 1_000).toFixed(2),
      ]
    }),
  )
  const [alone, beside] = [median(landing.aloneSeconds), median(landing.besideSeconds)]
  const ratio = beside / alone
  return [
    table,
    `Peak memory of the process that answers: ${megabytes(Math.max(...peakRssBytes))} MB, limit ${megabytes(maxPeakRssBytes)} MB.`,
    `Landing ${count(landing.lines)} lines (${(landing.inputBytes / 2 ** 20).toFixed(0)} MiB), median of ${landing.aloneSeconds.length}: ${alone.toFixed(1)} s alone, ${beside.toFixed(1)} s beside a client that asks the page without a pause (${landing.answers.join(', ')} answers): ${ratio.toFixed(2)} times as long, goal ${maxSlowdown}.`,
  ].join('\n\n')
}
