/** Replaces a secret. */
export const masked = '***'

// Spellings of a character: plain, percent-encoded once or several times, and escaped.
const equals = String.raw`(?:=|%(?:25)*3[dD]|\\+u003[dD])`
const base64 = String.raw`(?:[\w+/-]|%(?:25)*2[bfBF]|\\+(?:\/|u002[bfBF]))`
/** The beginning of a run of base64. A pattern anchored here is tried once per run, which keeps the time linear. */
const atBegin = String.raw`(?:(?<![\w+/%\\-])|(?<=\\[nrt]|%(?:25)*(?:0[adAD]|2[0267]|3[a-dfA-DF])|\\u00(?:2[0267]|3[c-eC-E])))`
/** An unquoted value; in JSON within JSON it ends at an escaped quote. */
const bare = String.raw`(?:[^;"'\s\\]|\\+(?:\/|u00(?:2[bf]|3d))){1,4000}`
const passwordName = `(?:client_?secret|password|passwd|pwd)`
/** The text between a name and its value, in a URL parameter, a command-line option or a JSON property. */
const assigned = String.raw`(?:\s*${equals}\s*|\\*["']?\s*:\s*)`

// Each pattern keeps the name of a secret and masks its value. It takes linear time, because it begins with rare
// characters, and bounded stack, because repetitions of alternatives have a limit: without one, millions overflow it.
const secrets: readonly [RegExp, string][] = [
  [new RegExp(`((?:AccountKey|SharedAccessSignature)${equals})${bare}`, 'gi'), `$1${masked}`],
  // A SAS without its signature is harmless, and useful in a log. The name may follow an escape, as in `\u0026sig`,
  // `%26sig` or `\nsig`, and `=` may be escaped; the value ends at the next parameter. The pattern begins with the rare
  // letters of the name: beginning with the character before them took six times as long.
  [
    new RegExp(
      String.raw`(sig(?<=(?:\b|26|3f|\\[nrt])sig)${equals})(?:[^&"'\s\\%]|%(?!(?:25)*26)|\\+(?:\/|u00(?:2[bf]|3d))){1,4000}`,
      'gi',
    ),
    `$1${masked}`,
  ],
  // Account keys (64 bytes) and signatures (32 bytes) in base64, in any context. For 32 bytes, the last character before
  // the single `=` ends in two zero bits.
  [new RegExp(`${atBegin}${base64}{86,4000}${equals}{2}`, 'g'), masked],
  [new RegExp(`${atBegin}${base64}{42,4000}[AEIMQUYcgkosw048]${equals}(?!\\w|${equals})`, 'g'), masked],
  [/(Bearer|SharedKey(?:Lite)?)(\s+)[\w.~+/:=-]{8,}/gi, `$1$2${masked}`],
  // Name and password of HTTP Basic. A shorter word after "Basic" is prose.
  [/(Basic\s+)[\w+/]{20,}={0,2}/g, `$1${masked}`],
  // Backslashes count only before a quote: alone, one begins the escape of the next character.
  [/(Authorization(?:\\*["'])?\s*[:=]\s*(?:\\*["'])?(?:[\w-]+\s+)?)[\w.~+/:=%-]{16,}/gi, `$1${masked}`],
  // Databricks' personal tokens, secrets of service principals, and its internal keys.
  [/d(?:s?api|s?kea|ose)[0-9a-f]{8,}(?:-\d+)?/gi, masked],
  // A JSON Web Token, maybe after an escape. `eyJ` is `{"` in base64.
  [/(?:(?<![\w-])|(?<=%[0-9a-f]{2}|\\u[0-9a-f]{4}|\\[nrt]))eyJ[\w-]{8,}(?:\.[\w-]+){1,2}/gi, masked],
  // Client secrets of Entra: 40 characters, recognized by the fourth to the sixth.
  [/[\w~.-]{3}\d[QR]~[\w~.-]{31,}/g, masked],
  // Passwords, by the names of their options. A quote before `,`, `:`, a bracket or white space ends a string.
  [
    new RegExp(String.raw`(${passwordName}${assigned}"(?=[^",:}\]\s]))(?:[^"\\]|\\.){1,4000}`, 'gis'),
    `$1${masked}`,
  ],
  // In JSON within JSON a quote has an odd number of backslashes; an even number ends the outer string.
  [new RegExp(String.raw`(${passwordName}${assigned}\\(?:\\\\)*")[^"\\]+`, 'gi'), `$1${masked}`],
  [new RegExp(String.raw`(${passwordName}${assigned}\\*')[^'"\\]+`, 'gi'), `$1${masked}`],
  [new RegExp(String.raw`(${passwordName}\s*${equals}\s*)[^&"'\s;\\]+`, 'gi'), `$1${masked}`],
  [/(client_?secret\s*:\s*)[^&"'\s,}\\]+/gi, `$1${masked}`],
  // Signatures and session tokens of the storage of other clouds.
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
