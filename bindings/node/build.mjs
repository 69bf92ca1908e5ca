// Builds the addon into rmq.node and holds native.d.ts to what the sources declare.
// Usage: node build.mjs [--release]; RMQ_BLESS=1 rewrites native.d.ts.
//
// Cargo is called without --target, so that the addon shares its build with the rest of the
// workspace (`napi build` always names a target, and compiles everything a second time).

import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

import { generateTypeDef } from '@napi-rs/cli'

const here = dirname(fileURLToPath(import.meta.url))
const target = resolve(process.env.CARGO_TARGET_DIR ?? join(here, '../../target'))
const profile = process.argv.includes('--release') ? 'release' : 'debug'
const libraryNames = {
  darwin: 'librmq_node.dylib',
  win32: 'rmq_node.dll',
}

const typeDefDir = join(target, 'napi-type-def')
rmSync(typeDefDir, { recursive: true, force: true })
mkdirSync(typeDefDir, { recursive: true })

const args = ['build', '--package', 'rmq-node', '--target-dir', target]
execFileSync('cargo', profile === 'release' ? [...args, '--release'] : args, {
  cwd: here,
  stdio: 'inherit',
  env: {
    ...process.env,
    NAPI_TYPE_DEF_TMP_FOLDER: typeDefDir,
    // The type definitions are written while the crate compiles, so it must compile now.
    NAPI_FORCE_BUILD_RMQ_NODE: String(Date.now()),
  },
})
const library = libraryNames[process.platform] ?? 'librmq_node.so'
copyFileSync(join(target, profile, library), join(here, 'rmq.node'))

const { exports, dts } = await generateTypeDef({ typeDefDir, cwd: here })
if (exports.length === 0) throw new Error('the addon declares nothing')
const committed = join(here, 'native.d.ts')
if (process.env.RMQ_BLESS) writeFileSync(committed, dts)
if (readFileSync(committed, 'utf8') !== dts) {
  throw new Error('native.d.ts is stale: run `make bless` and commit it')
}
