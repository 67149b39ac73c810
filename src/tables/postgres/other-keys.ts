/**
 * Other keys are read only from a text up to this length, in bytes: the engine takes a multiple of it, and of a longer
 * record, `raw` has them.
 */
const maxTextBytes = 1024 * 1024

/** @returns a JSON object that removes values when it is merged (RFC 7396). @param paths one key per level */
export function removalPatch(paths: readonly (readonly string[])[]): string {
  const patch: Patch = {}
  for (const path of paths) remove(patch, path)
  return JSON.stringify(patch)
}

interface Patch {
  [key: string]: Patch | null
}

function remove(patch: Patch, [key, ...inner]: readonly string[]): void {
  const present = patch[key!]
  if (inner.length === 0) patch[key!] = null
  else if (present !== null) {
    const object = present ?? {}
    patch[key!] = object
    remove(object, inner)
  }
}

/** Objects of which nothing is left. The merge also makes those that the record lacks. */
const emptyObject =
  '"(?:properties|record|oldkeys|postgresql|log|user|process|data|audit|source|payload|metadata|resource|labels|protoPayload|request)":\\{(?:"[a-z]+":\\{\\})?\\}'

/**
 * SQL of a JSON object without some of its values; NULL for a long text. Numbers that exceed a double are rounded.
 *
 * @param text SQL of a JSON object
 * @param removal SQL of `removalPatch` the values to leave out
 */
export function withoutKeys(text: string, removal: string): string {
  const rest = `json_merge_patch(${text}, ${removal})::VARCHAR`
  return `CASE WHEN strlen(${text}) <= ${maxTextBytes} THEN ${withoutEmptyObjects(rest)} END`
}

/** SQL of a JSON text without the objects of which a merge has left nothing. */
export function withoutEmptyObjects(text: string): string {
  return `regexp_replace(${text}, ',${emptyObject}|${emptyObject},?', '', 'g')`
}

/**
 * SQL of the keys of two objects together; NULL when there are none. Where both have a key, those of the outer one are an
 * object of their own under `envelope`.
 */
export function joinedKeys(outer: string, inner: string): string {
  const areApart = `len(list_intersect(json_keys(${outer}), json_keys(${inner}))) = 0`
  return `nullif(CASE WHEN ${outer} IS NULL THEN ${inner} WHEN ${inner} IS NULL THEN ${outer}
    WHEN ${areApart} THEN json_merge_patch(${outer}, ${inner})::VARCHAR
    ELSE json_merge_patch('{"envelope":' || ${outer} || '}', ${inner})::VARCHAR END, '{}')`
}
