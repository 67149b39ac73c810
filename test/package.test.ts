import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isTailraceError } from '../src/errors.ts'
import { type OptionalPackage, requireInstalled } from '../src/package.ts'

test('a package that a config needs and that is missing is named, with the command that installs it', () => {
  for (const name of ['@azure/identity', '@databricks/sql', 'azurite'] as const)
    requireInstalled(name, 'This')
  assert.throws(
    () => requireInstalled('no-such-package' as OptionalPackage, 'This sink'),
    (error) => {
      assert.ok(isTailraceError(error, 'PACKAGE_MISSING'))
      assert.match(error.message, /^This sink needs the package no-such-package, .*: npm install no-such-/)
      return true
    },
  )
})
