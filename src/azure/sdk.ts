import { createRequire } from 'node:module'
import type * as Sdk from '@azure/storage-blob'

// The SDK is a graph of several hundred ES modules, and each of them would pass the TypeScript loader's hooks. Its
// CommonJS build is there in less than half the time, and every command starts with it.
const sdk = createRequire(import.meta.url)('@azure/storage-blob') as typeof Sdk

/** The storage SDK's classes. */
export const { BlobServiceClient, ContainerClient, newPipeline, StorageSharedKeyCredential } = sdk
