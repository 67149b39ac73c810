import type { VolumeStaging } from './volume-staging.ts'

/** @returns a folder of a staging folder, with names relative to it */
export function stagingBelow(staging: VolumeStaging, folder: string): VolumeStaging {
  const within = (name: string): string => (name === '' ? folder : `${folder}/${name}`)
  const relative = (name: string): string => name.slice(folder.length + 1)
  return {
    folder: `${staging.folder}/${folder}`,
    put: (name, localPath) => staging.put(within(name), localPath),
    sizeOf: (name) => staging.sizeOf(within(name)),
    remove: (name) => staging.remove(within(name)),
    list: async (name) => {
      const { files, folders } = await staging.list(within(name))
      return {
        files: files.map((file) => ({ ...file, name: relative(file.name) })),
        folders: folders.map(relative),
      }
    },
  }
}
