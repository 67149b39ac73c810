/** The number of days before today (UTC) that retention can keep, in the config and in the command. */
export const retainDaysBounds = { min: 1, max: 36_500 } as const
