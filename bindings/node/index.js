'use strict'

const native = require('./rmq.node')

module.exports = { version: native.version }
