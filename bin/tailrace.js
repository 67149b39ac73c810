#!/usr/bin/env node
import { existsSync } from 'node:fs'
import module from 'node:module'

// Node 22.8 and newer keep the compiled code of modules between starts.
module.enableCompileCache?.()

// The package has only bundled sources; a clone bundles them when they have changed.
const compile = new URL('../scripts/build/compile.js', import.meta.url)
if (existsSync(compile)) (await import(compile.href)).compileChanged()
await import('../dist/cli.js')
