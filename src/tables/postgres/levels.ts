import { sqlString } from '../sql.ts'
import { constantLookup } from './expressions/json.ts'

/**
 * The words before a text log's message, by meaning: as PostgreSQL writes them in English first, then in the languages of
 * `lc_messages` (message catalogs of PostgreSQL 15: de, es, fr, it, ja, ka, ko, ru, sv, uk, zh_CN; of earlier versions also
 * cs, pl, pt_BR, tr). Words that several languages share stand once.
 */
export const levelWords = {
  DEBUG: [
    'DEBUG',
    'DEBUG1',
    'DEBUG2',
    'DEBUG3',
    'DEBUG4',
    'DEBUG5',
    'გამართვა',
    '디버그',
    'ОТЛАДКА',
    'НАЛАГОДЖЕННЯ',
    '调试',
  ],
  LOG: ['LOG', 'ჟურნალი', '로그', 'СООБЩЕНИЕ', 'LOGG', 'ЗАПИСУВАННЯ', '日志', '日誌', 'DZIENNIK', 'ログ'],
  INFO: ['INFO', 'ინფორმაცია', '정보', 'ИНФОРМАЦИЯ', 'ІНФОРМАЦІЯ', '信息', 'INFORMACJA', 'BİLGİ'],
  NOTICE: [
    'NOTICE',
    'HINWEIS',
    'NOTIFICA',
    '알림',
    'ЗАМЕЧАНИЕ',
    'NOTIS',
    'ПОВІДОМЛЕННЯ',
    '注意',
    'UWAGA',
    'NOTA',
  ],
  WARNING: [
    'WARNING',
    'WARNUNG',
    'ATTENTION',
    'ATTENZIONE',
    'გაფრთხილება',
    '경고',
    'ПРЕДУПРЕЖДЕНИЕ',
    'VARNING',
    'ПОПЕРЕДЖЕННЯ',
    '警告',
    'OSTRZEŻENIE',
    'AVISO',
    'UYARI',
    'ADVERTENCIA',
    'VAROVÁNÍ',
  ],
  ERROR: [
    'ERROR',
    'FEHLER',
    'ERREUR',
    'ERRORE',
    'შეცდომა',
    '오류',
    'ОШИБКА',
    'FEL',
    'ПОМИЛКА',
    '错误',
    'BŁĄD',
    'ERRO',
    'HATA',
    'CHYBA',
    'エラー',
    '錯誤',
  ],
  FATAL: [
    'FATAL',
    'FATALE',
    'ფატალური',
    '치명적오류',
    'ВАЖНО',
    'FATALT',
    'ФАТАЛЬНО',
    '致命错误',
    'KATASTROFALNY',
    'ÖLÜMCÜL',
    '致命錯誤',
  ],
  PANIC: [
    'PANIC',
    'PANIK',
    'PANICO',
    'პანიკა',
    '손상',
    'ПАНИКА',
    'ПАНІКА',
    '比致命错误还过分的错误',
    'PANIKA',
    'PÂNICO',
  ],
} as const

/** The words before the lines that follow a text log's message, by the field that they hold. */
export const continuationWords = {
  detail: [
    'DETAIL',
    'DETALLE',
    'DÉTAIL',
    'DETTAGLI',
    '詳細',
    'დეტალები',
    '상세정보',
    'ПОДРОБНОСТИ',
    'DETALJ',
    'ВІДОМОСТІ',
    '详细信息',
    'SZCZEGÓŁY',
    'DETALHE',
    'AYRINTI',
  ],
  hint: [
    'HINT',
    'TIPP',
    'ASTUCE',
    'SUGGERIMENTO',
    'ヒント',
    'მინიშნება',
    '힌트',
    'ПОДСКАЗКА',
    'TIPS',
    'УКАЗІВКА',
    '提示',
    'PODPOWIEDŹ',
    'DICA',
    'İPUCU',
    'SUGERENCIA',
    'DOPORUČENÍ',
  ],
  context: [
    'CONTEXT',
    'ZUSAMMENHANG',
    'CONTEXTO',
    'CONTEXTE',
    'CONTESTO',
    '文脈',
    'კონტექსტი',
    '내용',
    'КОНТЕКСТ',
    'KONTEXT',
    '上下文',
    'KONTEKST',
  ],
  statement: [
    'STATEMENT',
    'ANWEISUNG',
    'SENTENCIA',
    'INSTRUCTION',
    'ISTRUZIONE',
    '文',
    'ოპერატორი',
    '명령 구문',
    'ОПЕРАТОР',
    'SATS',
    'ІНСТРУКЦІЯ',
    '语句',
    'WYRAŻENIE',
    'COMANDO',
    'KOMUT',
    'PŘÍKAZ',
    'ステートメント',
  ],
  query: [
    'QUERY',
    'ANFRAGE',
    'CONSULTA',
    'REQUÊTE',
    '問い合わせ',
    'მოთხოვნა',
    '쿼리',
    'ЗАПРОС',
    'FRÅGA',
    'ЗАПИТ',
    '查询',
    'ZAPYTANIE',
    'SORGU',
    'DOTAZ',
  ],
  location: [
    'LOCATION',
    'ORT',
    'UBICACIÓN',
    'EMPLACEMENT',
    'POSIZIONE',
    '場所',
    'მდებარეობა',
    '위치',
    'ПОЛОЖЕНИЕ',
    'PLATS',
    'РОЗТАШУВАННЯ',
    '位置',
    'BACKTRACE',
    "PILE D'APPEL",
    'バックトレース',
    'სტეკი',
    '역추적',
    'СТЕК',
    'ВІДСТЕЖУВАТИ',
  ],
} as const

/** The words of a level in all languages and cases, so that statistics and dictionaries of files can be used. */
export function severityWords(level: string): readonly string[] {
  const words = (levelWords as Readonly<Record<string, readonly string[]>>)[level]
  if (words === undefined) return [level]
  return [...new Set(words.flatMap((word) => [word, word.toLowerCase(), titleCase(word)]))]
}

function titleCase(word: string): string {
  return `${word.slice(0, 1)}${word.slice(1).toLowerCase()}`
}

/** Regular expression (RE2) of the English words. */
export const englishLevelWord =
  'DEBUG[1-5]?|LOG|INFO|NOTICE|WARNING|ERROR|FATAL|PANIC|DETAIL|HINT|CONTEXT|STATEMENT|QUERY|LOCATION|BACKTRACE'

/** Regular expression (RE2) of any of the words. Longer words come first, because some begin with others. */
export const anyLevelWord = [...Object.values(levelWords), ...Object.values(continuationWords)]
  .flat()
  .toSorted((one, other) => other.length - one.length)
  .join('|')

/** Words behind which the catalogs of French, Korean and Russian write a colon with one blank or none, as in `쿼리:`. */
const unevenWords: readonly string[] = ["PILE D'APPEL", '위치', '쿼리', 'ПОЛОЖЕНИЕ']

/** Regular expression (RE2 and JavaScript) of any of these words. */
export const unevenWord = unevenWords.join('|')

/**
 * Regular expression (RE2) of a word with the colon and the blanks that a server writes behind it.
 *
 * @param even that of the words with two blanks, in a group
 * @param uneven that of the others; '' without any
 */
export function headOf(even: string, uneven: string): string {
  return uneven === '' ? `${even} ?:  ` : `(?:${even} ?:  |${uneven} ?: {0,2})`
}

/** The same of any of some words. */
export function lineHead(words: readonly string[]): string {
  const [even, uneven] = [false, true].map((isUneven) => {
    const all = words.filter((word) => unevenWords.includes(word) === isUneven)
    return all.length === 0 ? '' : `(?:${all.join('|')})`
  })
  return headOf(even!, uneven!)
}

/** SQL of whether a text may hold one of the words that two blanks do not follow. */
export function mayBeUneven(text: string): string {
  return unevenWords.map((word) => `contains(${text}, ${sqlString(word)})`).join(' OR ')
}

/** The same as `continuationOf`, in the engine's own SQL for views. */
export function viewContinuationOf(word: string): string {
  const pairs = Object.entries(continuationWords).flatMap(([kind, words]) =>
    words.map((one) => [kind, one] as const),
  )
  return constantLookup(pairs, word)
}

/** SQL of the kind of a line that follows a text log's message, by its word; NULL for other words. */
export function continuationOf(word: string): string {
  const branches = Object.entries(continuationWords).map(
    ([kind, words]) => `WHEN ${word} IN (${words.map(sqlString).join(', ')}) THEN '${kind}'`,
  )
  return `CASE ${branches.join(' ')} END`
}
