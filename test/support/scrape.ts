/** The samples of a text exposition, by name and labels as they are written. */
export function samplesOf(exposition: string): Map<string, number> {
  const samples = exposition.matchAll(/^([a-z_]+(?:\{[^}]*\})?) (\S+)$/gm)
  return new Map([...samples].map(([, name, value]) => [name as string, Number(value)]))
}
