// The package as it is installed.

import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { test } from 'node:test'

import * as imported from 'rmq'

const require = createRequire(import.meta.url)
const required = require('rmq')
const manifest = require('rmq/package.json')

test('the addon loads and tells the version of its package', () => {
  assert.equal(imported.version(), manifest.version)
})

test('import and require get the same things', () => {
  const names = Object.keys(required).filter((name) => name !== '__esModule')
  assert.deepEqual(names.sort(), Object.keys(imported).sort())
  for (const name of names) assert.equal(imported[name], required[name], name)
})

test('nothing runs at installation, and the addon comes as an optional dependency', () => {
  const scripts = Object.keys(manifest.scripts ?? {})
  for (const hook of ['preinstall', 'install', 'postinstall', 'prepare']) {
    assert.ok(!scripts.includes(hook), hook)
  }
  assert.equal(manifest.dependencies, undefined)
  assert.ok(Object.keys(manifest.optionalDependencies).length > 0)
  for (const file of ['LICENSE', 'README.md', 'native.d.ts']) {
    assert.ok(existsSync(require.resolve('rmq/package.json').replace('package.json', file)), file)
  }
  const source = `${process.env.RMQ_NODE_SOURCE}/package.json`
  assert.ok(!readFileSync(source, 'utf8').includes('optionalDependencies'))
})
