import type { SourceConfig } from '../../config.ts'
import { selectionOf } from './blob-selection.ts'

/** @returns a function that tells whether a blob, by its container and name, is one of a source's. */
export function blobTest({
  container,
  blobs,
}: Pick<SourceConfig, 'container' | 'blobs'>): (blob: string) => boolean {
  const selection = selectionOf(blobs)
  const root = `${container}/`
  const isSelected = (name: string): boolean => {
    switch (selection.kind) {
      case 'one':
        return name === selection.name
      case 'under':
        return name.startsWith(selection.prefix) && selection.matches(name)
      case 'azure-monitor':
        // Azure writes the id in a case of its own.
        return name.toLowerCase().includes(`${selection.resourceId}/`.toLowerCase())
    }
  }
  return (blob) => blob.startsWith(root) && isSelected(blob.slice(root.length))
}
