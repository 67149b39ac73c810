/** What stands where a secret stood. */
export const masked = '***'

// Each pattern keeps what names the secret and replaces the secret itself.
const secrets: readonly [RegExp, string][] = [
  [/(AccountKey=)[^;"'\s]+/gi, `$1${masked}`],
  [/(SharedAccessSignature=)[^;"'\s]+/gi, `$1${masked}`],
  // Without its signature the rest of a SAS is harmless and says what it was for.
  [/([?&;"'\s]sig=)[^&"'\s\\]+/gi, `$1${masked}`],
  [/^(sig=)[^&"'\s\\]+/gi, `$1${masked}`],
  [/\b(Bearer|SharedKey(?:Lite)?)(\s+)[\w.~+/:=-]{8,}/gi, `$1$2${masked}`],
  [/\bdapi[0-9a-f]{8,}(?:-\d+)?/gi, masked],
  [/(:\/\/[^/\s:@"']+:)[^@/\s"']+(@)/g, `$1${masked}$2`],
]

/** @returns `text` without storage keys, SAS signatures, bearer tokens, Databricks tokens and URL passwords. */
export function redactSecrets(text: string): string {
  let clean = text
  for (const [pattern, replacement] of secrets) clean = clean.replace(pattern, replacement)
  return clean
}
