/** What stands where a secret stood. */
export const masked = '***'

// Spellings of characters: as they are, percent-encoded once or more often, and escaped.
const equals = String.raw`(?:=|%(?:25)*3[dD]|\\+u003[dD])`
const base64 = String.raw`(?:[\w+/-]|%(?:25)*2[bfBF]|\\+(?:\/|u002[bfBF]))`
/** Where a run of base64 begins. What begins only there is looked for once per run, in linear time. */
const atBegin = String.raw`(?:(?<![\w+/%\\-])|(?<=\\[nrt]|%(?:25)*(?:0[adAD]|2[0267]|3[a-dfA-DF])|\\u00(?:2[0267]|3[c-eC-E])))`
/** A value without quotes around it, in JSON too: there the quote after it may be escaped. */
const bare = String.raw`(?:[^;"'\s\\]|\\+(?:\/|u00(?:2[bf]|3d))){1,4000}`
const passwordName = `(?:client_?secret|password|passwd|pwd)`
/** What stands between a name and its value: as a parameter, as an option and as a property. */
const assigned = String.raw`(?:\s*${equals}\s*|\\*["']?\s*:\s*)`

// Each pattern keeps what names the secret and replaces the secret itself. It takes linear time, because it begins with
// something rare, and a bounded stack: a choice that repeats without a limit overflows it at some millions.
const secrets: readonly [RegExp, string][] = [
  [new RegExp(`((?:AccountKey|SharedAccessSignature)${equals})${bare}`, 'gi'), `$1${masked}`],
  // Without its signature the rest of a SAS is harmless and says what it was for. The name may follow an escape, as in
  // `\u0026sig`, `%26sig` or `\nsig`, and `=` may be escaped too; the value ends where the next parameter begins. The
  // name's letters come first because they are rare: looking for what stands before them took six times as long.
  [
    new RegExp(
      String.raw`(sig(?<=(?:\b|26|3f|\\[nrt])sig)${equals})(?:[^&"'\s\\%]|%(?!(?:25)*26)|\\+(?:\/|u00(?:2[bf]|3d))){1,4000}`,
      'gi',
    ),
    `$1${masked}`,
  ],
  // Keys of storage accounts, which are 64 bytes, and signatures, which are 32, wherever they stand. The last character
  // before the only `=` of 32 bytes ends in two zero bits.
  [new RegExp(`${atBegin}${base64}{86,4000}${equals}{2}`, 'g'), masked],
  [new RegExp(`${atBegin}${base64}{42,4000}[AEIMQUYcgkosw048]${equals}(?!\\w|${equals})`, 'g'), masked],
  [/(Bearer|SharedKey(?:Lite)?)(\s+)[\w.~+/:=-]{8,}/gi, `$1$2${masked}`],
  // Name and password of HTTP Basic; shorter words behind "Basic" are prose.
  [/(Basic\s+)[\w+/]{20,}={0,2}/g, `$1${masked}`],
  [/(Authorization\\*["']?\s*[:=]\s*\\*["']?(?:[\w-]+\s+)?)[\w.~+/:=%-]{16,}/gi, `$1${masked}`],
  // Databricks' personal tokens, secrets of service principals, and its internal keys.
  [/d(?:s?api|s?kea|ose)[0-9a-f]{8,}(?:-\d+)?/gi, masked],
  // A JSON Web Token, which may stand behind an escape. Its beginning is that of `{"` in base64.
  [/(?:(?<![\w-])|(?<=%[0-9a-f]{2}|\\u[0-9a-f]{4}|\\[nrt]))eyJ[\w-]{8,}(?:\.[\w-]+){1,2}/gi, masked],
  // Client secrets of Entra are 40 characters, marked by the fourth to the sixth.
  [/[\w~.-]{3}\d[QR]~[\w~.-]{31,}/g, masked],
  // Passwords by their names. A quote that ends a string of JSON begins no value.
  [
    new RegExp(String.raw`(${passwordName}${assigned}"(?=[^",:}\]\s]))(?:[^"\\]|\\.){1,4000}`, 'gis'),
    `$1${masked}`,
  ],
  [new RegExp(String.raw`(${passwordName}${assigned}\\+")[^"\\]+`, 'gi'), `$1${masked}`],
  [new RegExp(String.raw`(${passwordName}${assigned}\\*')[^'"\\]+`, 'gi'), `$1${masked}`],
  [new RegExp(String.raw`(${passwordName}\s*${equals}\s*)[^&"'\s;\\]+`, 'gi'), `$1${masked}`],
  [/(client_?secret\s*:\s*)[^&"'\s,}\\]+/gi, `$1${masked}`],
  // The signatures of other clouds' storage, and the session that goes with them.
  [
    new RegExp(String.raw`(X-(?:Amz|Goog)-(?:Signature|Security-Token)${equals})[^&"'\s\\]+`, 'gi'),
    `$1${masked}`,
  ],
  // The password of a URL ends at the last `@` before the path.
  [/(:\/\/[^/\s:@"']*:)[^/\s"']+(@)/g, `$1${masked}$2`],
]

/**
 * @returns `text` without storage keys, SAS and other signatures, bearer tokens and JSON Web Tokens, tokens and secrets of
 * Databricks and Entra, and passwords in URLs and connection strings
 */
export function redactSecrets(text: string): string {
  let clean = text
  for (const [pattern, replacement] of secrets) clean = clean.replace(pattern, replacement)
  return clean
}
