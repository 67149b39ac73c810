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
  // Name and password of HTTP Basic; shorter words behind "Basic" are prose.
  [/\b(Basic\s+)[\w+/]{20,}={0,2}/g, `$1${masked}`],
  // Databricks' personal tokens, secrets of service principals, and its internal keys.
  [/\bd(?:s?api|s?kea|ose)[0-9a-f]{8,}(?:-\d+)?/gi, masked],
  // A JSON Web Token, which may stand behind an escape. Its beginning is that of `{"` in base64.
  [/(?:(?<![\w-])|(?<=%[0-9a-f]{2}|\\u[0-9a-f]{4}|\\[nrt]))eyJ[\w-]{8,}(?:\.[\w-]+){1,2}/gi, masked],
  [/(client_secret(?:=|%3d|\\*["']?\s*:\s*\\*["']?))[^&"'\s,}\\]+/gi, `$1${masked}`],
  // The signatures of other clouds' storage, and the session that goes with them.
  [/(X-(?:Amz|Goog)-(?:Signature|Security-Token)(?:=|%(?:25)*3d|\\+u003d))[^&"'\s\\]+/gi, `$1${masked}`],
  [/(:\/\/[^/\s:@"']*:)[^@/\s"']+(@)/g, `$1${masked}$2`],
]

/**
 * @returns `text` without storage keys, SAS and other signatures, bearer tokens and JSON Web Tokens, Databricks' tokens
 * and secrets, and URL passwords
 */
export function redactSecrets(text: string): string {
  let clean = text
  for (const [pattern, replacement] of secrets) clean = clean.replace(pattern, replacement)
  return clean
}
