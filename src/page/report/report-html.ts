import {
  hasAmount,
  type Report,
  type ReportChart,
  type ReportFigure,
  type ReportSection,
  type ReportSeries,
  type ReportServer,
  type ReportTable,
  type ReportUnit,
} from '../api-report.ts'
import { unitText, utcText } from '../value-text.ts'
import { chartPlot, type PlottedSeries } from './chart-plot.ts'
import { markupText } from './markup.ts'

/** Characters of a cell that are shown at once; the whole text is in its tooltip. */
const maxCellCharacters = 400

/**
 * Writes a report as one file without references to others, and without scripts. Text from logs is escaped, and its
 * invisible and direction-changing characters are written out.
 */
export function reportHtml(report: Report): string {
  const { fromMs, toMs, compared, servers, sections, version, atMs } = report
  const range = `${instantText(fromMs)} to ${instantText(toMs)} UTC`
  const against =
    compared === undefined
      ? ''
      : `, compared with ${instantText(compared.fromMs)} to ${instantText(compared.toMs)}`
  const links = sections.map(({ id, title }) => `<a href="#${id}">${markupText(title)}</a>`)
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>PostgreSQL report, ${markupText(range)}</title>
<style>${style}</style>
</head>
<body>
<header>
<h1>PostgreSQL report</h1>
<p>${markupText(range)}${markupText(against)}</p>
<p>${servers.length === 0 ? 'There are no records in this time.' : `Servers: ${servers.map(({ id, role }) => `<b>${markupText(id)}</b>${role === null || role === id ? '' : ` (${markupText(role)})`}`).join(', ')}`}</p>
<nav aria-label="Sections">${links.join(' ')}</nav>
</header>
<main>
${sections.map((section) => sectionHtml(section, servers)).join('\n')}
</main>
<footer>Made by Tailrace ${markupText(version)} at ${instantText(atMs)} UTC in ${(report.elapsedMs / 1000).toFixed(1)} s.</footer>
</body>
</html>
`
}

function sectionHtml(section: ReportSection, servers: readonly ReportServer[]): string {
  const { id, title, notes, figures, charts, tables } = section
  const filled = tables.filter(({ rows }) => rows.length > 0)
  const drawn = charts.filter(({ series }) => series.some(hasAmount))
  const hasFigures = figures.some(hasAmount)
  const contents =
    hasFigures || filled.length > 0 || drawn.length > 0
      ? `${hasFigures ? figuresHtml(figures, servers) : ''}
<div class="charts">${drawn.flatMap((chart) => chartsHtml(chart, servers)).join('\n')}</div>
${filled.map(tableHtml).join('\n')}`
      : '<p>Nothing of this was logged in this time.</p>'
  return `<section id="${id}">
<h2>${markupText(title)}</h2>
${contents}
${notes.map((note) => `<p class="note">${markupText(note)}</p>`).join('\n')}
</section>`
}

function figuresHtml(figures: readonly ReportFigure[], servers: readonly ReportServer[]): string {
  const hasBefore = figures.some(({ before }) => before !== undefined)
  const heads = servers.map(
    ({ id }) => `<th scope="col">${markupText(id)}</th>${hasBefore ? '<th scope="col">before</th>' : ''}`,
  )
  const rows = figures.map(({ label, unit, values, before }) => {
    const cells = values.map((value, index) => {
      const formerly = hasBefore ? `<td class="before">${valueText(before?.[index] ?? null, unit)}</td>` : ''
      return `<td>${valueText(value, unit)}</td>${formerly}`
    })
    return `<tr><th scope="row">${markupText(label)}</th>${cells.join('')}</tr>`
  })
  return `<div class="wide" tabindex="0" role="group" aria-label="Figures"><table class="figures"><thead><tr><td></td>${heads.join('')}</tr></thead><tbody>${rows.join('')}</tbody></table></div>`
}

/** A chart with several kinds of values for each server is drawn once for each server, as on the page. */
function chartsHtml(chart: ReportChart, servers: readonly ReportServer[]): readonly string[] {
  const ids = [...new Set(chart.series.map(({ server }) => server))]
  const kinds = [...new Set(chart.series.map(({ name }) => name))]
  if (ids.length === chart.series.length) {
    const series = chart.series.flatMap((one) => {
      const place = servers.findIndex(({ id }) => id === one.server)
      const name = kinds.length === 1 ? one.server : `${one.name}, ${one.server}`
      return withBefore(one, ids.length === 1 ? one.name : name, `c${Math.max(0, place) % colors.length}`)
    })
    return [chartHtml(chart, chart.title, series)]
  }
  return ids.map((id) => {
    const own = chart.series.filter(({ server }) => server === id)
    const series = own.flatMap((one) => {
      const color = levelColors.has(one.name) ? one.name : `c${kinds.indexOf(one.name) % colors.length}`
      return withBefore(one, one.name, color)
    })
    return chartHtml(chart, ids.length > 1 ? `${chart.title}: ${id}` : chart.title, series)
  })
}

function withBefore({ values, before }: ReportSeries, name: string, color: string): readonly PlottedSeries[] {
  const own = { name, color, values, isDashed: false }
  return before === undefined
    ? [own]
    : [own, { name: `${name}, before`, color, values: before, isDashed: true }]
}

function chartHtml(chart: ReportChart, title: string, series: readonly PlottedSeries[]): string {
  const key = series.map(
    ({ name, color, isDashed }) =>
      `<li><i class="${color}${isDashed ? ' dashed' : ''}"></i>${markupText(name)}</li>`,
  )
  const plot = chartPlot({ ...chart, title }, series, (value) => valueText(value, chart.unit))
  return `<figure><figcaption><h3>${markupText(title)}</h3><ul class="key">${key.join('')}</ul></figcaption>${plot}</figure>`
}

function tableHtml({ title, columns, rows, isCut }: ReportTable): string {
  const isText = (unit: ReportUnit): boolean => unit === 'text' || unit === 'sql'
  const heads = columns.map(
    ({ label, unit }) => `<th scope="col"${isText(unit) ? ' class="text"' : ''}>${markupText(label)}</th>`,
  )
  const lines = rows.map(({ cells }) => {
    const texts = cells.map((cell, index) => {
      const { unit } = columns[index]!
      if (!isText(unit)) return `<td>${valueText(cell, unit)}</td>`
      const text = String(cell ?? '')
      const shown = text.length > maxCellCharacters ? `${text.slice(0, maxCellCharacters)}…` : text
      const whole = text.length > maxCellCharacters ? ` title="${markupText(text)}"` : ''
      return `<td class="${unit}"${whole}><bdi>${markupText(shown)}</bdi></td>`
    })
    return `<tr>${texts.join('')}</tr>`
  })
  const more = isCut ? `<p class="note">There are more than these ${rows.length} rows.</p>` : ''
  return `<div class="tables"><h3>${markupText(title)}</h3><div class="wide" tabindex="0" role="group" aria-label="${markupText(title)}"><table><thead><tr>${heads.join('')}</tr></thead><tbody>${lines.join('')}</tbody></table></div>${more}</div>`
}

/** @returns a value with its unit, safe as markup; instants are in whole seconds */
function valueText(value: string | number | null, unit: ReportUnit): string {
  return markupText(unitText(value, unit, instantText))
}

function instantText(instantMs: number): string {
  return utcText(instantMs).slice(0, 19)
}

/** Colors of servers and kinds, on light and on dark backgrounds, as on the page. */
const colors: readonly (readonly [light: string, dark: string])[] = [
  ['#1d6fb8', '#63aef0'],
  ['#c2570c', '#f0a05a'],
  ['#6b4fbb', '#b29af0'],
  ['#1b7a5a', '#5cc9a2'],
  ['#a3326f', '#ee8abd'],
  ['#5b6a72', '#9fb0b8'],
  ['#0e7c86', '#4fc3cf'],
  ['#8a6d00', '#d9bd4a'],
]

const levelColors: ReadonlyMap<string, readonly [light: string, dark: string]> = new Map([
  ['PANIC', ['#5b21a6', '#b388f5']],
  ['FATAL', ['#98206b', '#e26bb4']],
  ['ERROR', ['#d5453b', '#ee6f66']],
  ['WARNING', ['#d99a1e', '#e5b454']],
  ['NOTICE', ['#4b8fd0', '#5aa0e6']],
  ['INFO', ['#4f9f6b', '#63b883']],
  ['LOG', ['#7fa6b3', '#4b7787']],
  ['DEBUG', ['#9aa9b0', '#55666f']],
])

const colorRules = [...colors.map((pair, index) => [`c${index}`, pair] as const), ...levelColors]
  .map(([name, [light, dark]]) => `.${name} { color: light-dark(${light}, ${dark}) }`)
  .join('\n')

const style = `
:root { color-scheme: light dark; --canvas: light-dark(#f5f7f8, #0c1114); --surface: light-dark(#ffffff, #131a1e); --line: light-dark(#dde4e8, #253138); --text: light-dark(#14201f, #e3eaec); --soft: light-dark(#46565e, #a9b7bd); --faint: light-dark(#5c6c74, #8b9aa1); --link: light-dark(#0b7285, #53c3d3); --mono: "JetBrains Mono", ui-monospace, "SF Mono", Menlo, monospace }
* { box-sizing: border-box }
html { scroll-padding-top: 16px }
body { margin: 0 auto; max-width: 1240px; padding: 28px 20px; background: var(--canvas); color: var(--text); font: 14px/1.5 Inter, ui-sans-serif, system-ui, sans-serif; overflow-wrap: anywhere }
h1, h2, h3, p, ul, figure { margin: 0; padding: 0 }
h1 { font-size: 22px; letter-spacing: -.02em } h2 { font-size: 17px; letter-spacing: -.01em } h3 { font-size: 14px }
header, footer { display: grid; gap: 4px; padding: 0 20px; color: var(--soft) } h1 { color: var(--text) }
nav { display: flex; flex-wrap: wrap; gap: 2px 18px; margin-top: 8px } a { color: var(--link); text-decoration: none } a:hover { text-decoration: underline }
section { display: grid; grid-template-columns: minmax(0, 1fr); gap: 14px; margin: 20px 0; padding: 16px 20px 18px; background: var(--surface); border: 1px solid var(--line); border-radius: 12px }
.note, footer { color: var(--faint); font-size: 12.5px }
.wide { overflow-x: auto } table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums }
.tables { display: grid; grid-template-columns: minmax(0, 1fr); gap: 4px } .tables table { width: 100% }
th, td { padding: 5px 20px 5px 0; text-align: right; vertical-align: baseline; border-bottom: 1px solid var(--line); white-space: nowrap } th:last-child, td:last-child { padding-right: 0 }
thead th { color: var(--faint); font-weight: 500; font-size: 12.5px } .figures th[scope=row] { font-weight: 450; color: var(--soft) }
th.text, td.text, td.sql, .figures th[scope=row] { text-align: left } td.text, td.sql { white-space: pre-wrap; overflow-wrap: anywhere; min-width: 90px; max-width: 540px }
td.sql { min-width: 260px; font: 12px/1.5 var(--mono) } .before { color: var(--faint) }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 420px), 1fr)); gap: 20px } .charts:empty { display: none }
figure { min-width: 0; display: grid; grid-template-rows: subgrid; grid-row: span 2; gap: 8px } .key { display: flex; flex-wrap: wrap; gap: 0 14px; list-style: none; color: var(--soft); font-size: 12.5px }
.key i { display: inline-block; width: 10px; height: 10px; margin-right: 6px; border-radius: 3px; background: currentColor } .key i.dashed { height: 0; border-top: 2px dashed; border-radius: 0; background: none; vertical-align: 3px }
.plot { display: grid; grid-template-columns: auto minmax(0, 1fr); gap: 4px 8px; color: var(--faint); font-size: 11px; font-variant-numeric: tabular-nums }
.plot svg { width: 100%; height: 160px; display: block; overflow: visible } .plot path, .plot line { vector-effect: non-scaling-stroke }
.amounts { display: flex; flex-direction: column; justify-content: space-between; height: 176px; margin: -8px 0; text-align: right; line-height: 16px; white-space: nowrap } .times { grid-column: 2; display: flex; white-space: nowrap } .times span { flex: 1 0 0; min-width: 0 }
.grid { stroke: var(--line) } .plot path { stroke-width: 1.6 } .plot .dashed path { stroke-width: 1.2; stroke-dasharray: 4 4 } .plot path.dot { stroke-width: 4.5; stroke-linecap: round }
${colorRules}
@media (max-width: 600px) { body { padding: 16px 0 } section { margin: 12px 0; padding: 14px 16px; border-inline: 0; border-radius: 0 } header, footer { padding: 0 16px } .times span:nth-child(even) { display: none } }
@media print { @page { size: A4 landscape; margin: 12mm } :root { color-scheme: light } body { max-width: none; padding: 0; background: none; font-size: 11px } nav { display: none } section { display: block; margin: 0 0 8mm; padding: 0; border: 0 } section > * { margin-bottom: 10px } h2, h3, figcaption { break-after: avoid } figure, tr { break-inside: avoid } .wide { overflow: visible } table { font-size: 9.5px } th, td { padding-right: 8px; overflow-wrap: break-word; white-space: normal } th:last-child, td:last-child { padding-right: 8px } thead th { font-size: 9.5px } td.text { min-width: 0 } td.sql { min-width: 110px; overflow-wrap: anywhere; font-size: 9px } .key i { print-color-adjust: exact } }
`
