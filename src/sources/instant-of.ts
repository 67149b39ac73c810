/** @returns an instant to the second, which is what the service keeps: `20261124T084700Z`. */
export function instantOf(createdOn: Date | undefined): string {
  if (createdOn === undefined) return 'unknown'
  return createdOn.toISOString().replace(/[-:]|\.\d+/g, '')
}
