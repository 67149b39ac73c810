import type {
  Report,
  ReportChart,
  ReportFigure,
  ReportSection,
  ReportServer,
  ReportTable,
  ReportUnit,
} from '../api-report.ts'
import { unitText, utcText } from '../value-text.ts'
import { chartSvg, seriesColors } from './chart-svg.ts'
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
<nav>${links.join(' ')}</nav>
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
  return `<section id="${id}">
<h2>${markupText(title)}</h2>
${notes.map((note) => `<p class="note">${markupText(note)}</p>`).join('\n')}
${figures.length === 0 ? '' : figuresHtml(figures, servers)}
${charts.map(chartHtml).join('\n')}
${tables.map(tableHtml).join('\n')}
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
  return `<table class="figures"><thead><tr><td></td>${heads.join('')}</tr></thead><tbody>${rows.join('')}</tbody></table>`
}

function chartHtml(chart: ReportChart): string {
  if (chart.series.length === 0) return ''
  const several = new Set(chart.series.map(({ server }) => server)).size > 1
  const names = chart.series.map(({ server, name }) => (several ? `${server}: ${name}` : name))
  const legend = names.map(
    (name, index) => `<li><i class="c${index % seriesColors.length}"></i>${markupText(name)}</li>`,
  )
  return `<figure><figcaption>${markupText(chart.title)}</figcaption>${chartSvg(chart, names, valueText)}<ul class="legend">${legend.join('')}</ul></figure>`
}

function tableHtml({ title, columns, rows, isCut }: ReportTable): string {
  if (rows.length === 0) return `<h3>${markupText(title)}</h3><p class="none">None.</p>`
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
  return `<h3>${markupText(title)}</h3><div class="wide"><table><thead><tr>${heads.join('')}</tr></thead><tbody>${lines.join('')}</tbody></table></div>${more}`
}

/** @returns a value with its unit, safe as markup; instants are in whole seconds */
function valueText(value: string | number | null, unit: ReportUnit): string {
  return markupText(unitText(value, unit, instantText))
}

function instantText(instantMs: number): string {
  return utcText(instantMs).slice(0, 19)
}

const style = `
:root { color-scheme: light dark; --line: light-dark(#d8dee4, #30363d); --soft: light-dark(#57606a, #8b949e); --page: light-dark(#ffffff, #0d1117); --text: light-dark(#1f2328, #e6edf3); --zebra: light-dark(#f6f8fa, #161b22) }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 76rem; padding: 1.5rem; background: var(--page); color: var(--text); font: 14px/1.5 system-ui, sans-serif }
h1 { font-size: 1.6rem; margin: 0 } h2 { font-size: 1.2rem; margin: 2.5rem 0 .5rem; border-bottom: 1px solid var(--line) } h3 { font-size: 1rem; margin: 1.5rem 0 .25rem }
nav { display: flex; flex-wrap: wrap; gap: .25rem 1rem } a { color: light-dark(#0969da, #58a6ff) }
.note, .none, footer { color: var(--soft); margin: .25rem 0 } footer { margin-top: 3rem }
table { border-collapse: collapse; font-variant-numeric: tabular-nums } .wide { overflow-x: auto }
th, td { padding: .25rem .6rem; text-align: right; vertical-align: top; border-bottom: 1px solid var(--line); white-space: nowrap }
thead th { position: sticky; top: 0; background: var(--page); color: var(--soft); font-weight: 600 }
tbody tr:nth-child(even) { background: var(--zebra) }
th.text, td.text, td.sql, .figures th[scope=row] { text-align: left } td.text, td.sql { white-space: pre-wrap; overflow-wrap: anywhere; min-width: 6rem; max-width: 34rem }
td.sql { font: 12px/1.5 ui-monospace, monospace; min-width: 16rem } .before { color: var(--soft) }
figure { margin: 1rem 0 } figcaption { font-weight: 600 } svg { width: 100%; height: auto; display: block }
svg text { fill: var(--soft); font: 11px system-ui, sans-serif } svg .axis { stroke: var(--line) }
.legend { display: flex; flex-wrap: wrap; gap: .1rem 1rem; padding: 0; margin: .25rem 0; list-style: none; color: var(--soft) }
.legend i { display: inline-block; width: .8em; height: .8em; margin-right: .4em; border-radius: 2px; background: currentColor }
${seriesColors.map(([light, dark], index) => `.c${index} { color: light-dark(${light}, ${dark}) }`).join('\n')}
@media print { body { max-width: none } thead th { position: static } }
`
