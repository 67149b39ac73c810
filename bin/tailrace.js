#!/usr/bin/env node
import { existsSync } from 'node:fs'
import module from 'node:module'

// Node 22.8 and newer keep the compiled code of modules between starts.
module.enableCompileCache?.()

// The package has only compiled sources. A clone compiles what changed or, without a compiler, runs the sources by tsx.
const compile = new URL('../scripts/compile.js', import.meta.url)
const isCompiled = !existsSync(compile) || (await import(compile.href)).compileChanged()
if (!isCompiled) (await import('tsx/esm/api')).register()
await import(isCompiled ? '../dist/cli.js' : '../src/cli.ts')
