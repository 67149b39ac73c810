const severities = ['LOG', 'WARNING', 'ERROR', 'FATAL', 'NOTICE', 'INFO', 'DEBUG']

/** Counts a whole jsonlog file: one row of the table in this folder's README. */
export function summaryRow(name: string, log: Buffer): string {
  const lines = log.toString('utf8').trimEnd().split('\n')
  const counts = new Map<string, number>()
  for (const line of lines) {
    const severity: string = JSON.parse(line).error_severity
    counts.set(severity, (counts.get(severity) ?? 0) + 1)
  }
  const cells = [lines.length, log.length, ...severities.map((severity) => counts.get(severity) ?? 0)]
  return `| ${name} | ${cells.map((cell) => cell.toLocaleString('en')).join(' | ')} |`
}
