import { createRequire } from 'node:module'
import type * as Sdk from '@azure/storage-blob'

// The SDK has several hundred ES modules, each of which would pass through the hooks of the TypeScript loader. Its CommonJS
// build loads in less than half the time, which shortens the start of every command.
const sdk = createRequire(import.meta.url)('@azure/storage-blob') as typeof Sdk

/** The storage SDK's classes. */
export const { BlobServiceClient, ContainerClient, newPipeline, StorageSharedKeyCredential } = sdk
