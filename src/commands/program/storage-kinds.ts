/** The kinds of storage that `tailrace init` writes a config for. Apart from it, because the command line lists them. */
export const storageKinds = ['embedded', 'account', 'connection-string'] as const
export type StorageKind = (typeof storageKinds)[number]
