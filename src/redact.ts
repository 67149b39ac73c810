/** What stands where a secret stood. */
export const masked = '***'

// Each pattern keeps what names the secret and replaces the secret itself.
const secrets: readonly [RegExp, string][] = [
  [/(AccountKey=)[^;"'\s]+/gi, `$1${masked}`],
  [/(SharedAccessSignature=)[^;"'\s]+/gi, `$1${masked}`],
  // Without its signature the rest of a SAS is harmless and says what it was for. The name may follow an escape, as in
  // `\u0026sig`, `%26sig` or `\nsig`, and `=` may be escaped too; the value ends where the next parameter begins. The
  // name's letters come first because they are rare: looking for what stands before them took six times as long.
  [
    /(sig(?<=(?:\b|26|3f|\\[nrt])sig)(?:=|%(?:25)*3d|\\+u003d))(?:[^&"'\s\\%]|%(?!(?:25)*26)|\\+(?:\/|u00(?:2[bf]|3d)))+/gi,
    `$1${masked}`,
  ],
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
