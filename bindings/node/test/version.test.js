'use strict'

const assert = require('node:assert/strict')
const test = require('node:test')

const rmq = require('..')
const { version } = require('../package.json')

test('the addon loads and tells the version of its package', () => {
  assert.equal(rmq.version(), version)
})
