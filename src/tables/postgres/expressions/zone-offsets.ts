/**
 * The tz database's abbreviation for CLDR's English name of a time. Zones without an abbreviation in the tz database since
 * 2017 are left out, because PostgreSQL logs them with a numeric offset.
 *
 * Made by comparing tzdata 2025 with ICU 78 for every zone from 1990 to 2027.
 */
const abbreviations: Readonly<Record<string, string>> = {
  'Alaska Daylight Time': 'AKDT',
  'Alaska Standard Time': 'AKST',
  'American Samoa Standard Time': 'SST',
  'Atlantic Daylight Time': 'ADT',
  'Atlantic Standard Time': 'AST',
  'Australian Central Daylight Time': 'ACDT',
  'Australian Central Standard Time': 'ACST',
  'Australian Eastern Daylight Time': 'AEDT',
  'Australian Eastern Standard Time': 'AEST',
  'Australian Western Daylight Time': 'AWDT',
  'Australian Western Standard Time': 'AWST',
  'British Summer Time': 'BST',
  'Central Africa Time': 'CAT',
  'Central Daylight Time': 'CDT',
  'Central European Standard Time': 'CET',
  'Central European Summer Time': 'CEST',
  'Central Indonesia Time': 'WITA',
  'Central Standard Time': 'CST',
  'Chamorro Standard Time': 'ChST',
  'China Standard Time': 'CST',
  'Cuba Daylight Time': 'CDT',
  'Cuba Standard Time': 'CST',
  'East Africa Time': 'EAT',
  'Eastern Daylight Time': 'EDT',
  'Eastern European Standard Time': 'EET',
  'Eastern European Summer Time': 'EEST',
  'Eastern Indonesia Time': 'WIT',
  'Eastern Standard Time': 'EST',
  'Hawaii-Aleutian Daylight Time': 'HDT',
  'Hawaii-Aleutian Standard Time': 'HST',
  'Hong Kong Standard Time': 'HKT',
  'India Standard Time': 'IST',
  'Irish Standard Time': 'IST',
  'Israel Daylight Time': 'IDT',
  'Israel Standard Time': 'IST',
  'Japan Standard Time': 'JST',
  'Korean Standard Time': 'KST',
  'Macao Standard Time': 'CST',
  'Mexican Pacific Daylight Time': 'MDT',
  'Mexican Pacific Standard Time': 'MST',
  'Moscow Standard Time': 'MSK',
  'Moscow Summer Time': 'MSD',
  'Mountain Daylight Time': 'MDT',
  'Mountain Standard Time': 'MST',
  'New Zealand Daylight Time': 'NZDT',
  'New Zealand Standard Time': 'NZST',
  'Newfoundland Daylight Time': 'NDT',
  'Newfoundland Standard Time': 'NST',
  'North Korea Time': 'KST',
  'Pacific Daylight Time': 'PDT',
  'Pacific Standard Time': 'PST',
  'Pakistan Standard Time': 'PKT',
  'Pakistan Summer Time': 'PKST',
  'Philippine Standard Time': 'PST',
  'South Africa Standard Time': 'SAST',
  // The name in older CLDR data.
  'Taipei Standard Time': 'CST',
  'Taiwan Standard Time': 'CST',
  'Volgograd Standard Time': 'MSK',
  'Volgograd Summer Time': 'MSD',
  'West Africa Time': 'WAT',
  'Western European Standard Time': 'WET',
  'Western European Summer Time': 'WEST',
  'Western Indonesia Time': 'WIB',
  'Yukon Time': 'MST',
}

/** Zones whose times CLDR gives no names, and the zone with the same times since 1996 that has them. */
const sameTimes: Readonly<Record<string, string>> = {
  'europe/guernsey': 'Europe/London',
  'europe/isle_of_man': 'Europe/London',
  'europe/jersey': 'Europe/London',
  'europe/kirov': 'Europe/Moscow',
}

/** Zones that had abbreviations of their own until the tz database of 2024b, as servers with an older one write them. */
const formerAbbreviations: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  met: { CET: 'MET', CEST: 'MEST' },
}

// PostgreSQL was first released in 1996. One sample per month is enough, because zones keep an offset for weeks at least.
const firstYear = 1996
const lastYear = 2037

/** The UTC offsets of a zone since 1996, in seconds east of Greenwich. */
export interface ZoneOffsets {
  readonly all: readonly number[]
  /** By abbreviation; without GMT and UTC, which mean one offset everywhere. */
  readonly byAbbreviation: ReadonlyMap<string, readonly number[]>
}

/** @param timezone an IANA name */
export function zoneOffsets(timezone: string): ZoneOffsets {
  const timeZone = sameTimes[timezone.toLowerCase()] ?? timezone
  const names = new Intl.DateTimeFormat('en-US', { timeZone, timeZoneName: 'long' })
  const offsets = new Intl.DateTimeFormat('en-US', { timeZone, timeZoneName: 'longOffset' })
  const all = new Set<number>()
  const byAbbreviation = new Map<string, readonly number[]>()
  for (let month = 0; month < (lastYear - firstYear) * 12; month += 1) {
    const instant = new Date(Date.UTC(firstYear, month, 15))
    const offset = offsetSeconds(zoneName(offsets, instant))
    all.add(offset)
    const abbreviation = abbreviations[zoneName(names, instant)]
    if (abbreviation === undefined) continue
    const former = formerAbbreviations[timezone.toLowerCase()]?.[abbreviation]
    for (const name of former === undefined ? [abbreviation] : [abbreviation, former]) {
      const known = byAbbreviation.get(name) ?? []
      if (!known.includes(offset)) byAbbreviation.set(name, [...known, offset])
    }
  }
  return { all: [...all], byAbbreviation }
}

function zoneName(format: Intl.DateTimeFormat, instant: Date): string {
  return format.formatToParts(instant).find(({ type }) => type === 'timeZoneName')?.value ?? ''
}

/** Parses `GMT+05:30` to seconds; `GMT` alone is 0. */
function offsetSeconds(name: string): number {
  const [, sign, hours, minutes] = /^GMT([+-])(\d\d):(\d\d)/.exec(name) ?? []
  const seconds = (Number(hours ?? 0) * 60 + Number(minutes ?? 0)) * 60
  return sign === '-' ? -seconds : seconds
}
