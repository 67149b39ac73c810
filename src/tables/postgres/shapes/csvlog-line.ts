const time = '\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d[.]\\d+ [^,]+'
const name = '(?:"(?:[^"]|"")*")?'

/**
 * Beginning of a line of csvlog (RE2 and JavaScript): time, user, database and process. Greenplum writes letters before
 * the numbers of the process and its thread.
 */
export const csvlogLine = `^${time},${name},${name},(?:\\d+|p\\d+,th-?\\d+),`
