// Builds the addon into rmq.node, holds native.d.ts to what the sources declare, compiles the
// TypeScript half into dist, and lays out the package for this platform in npm.
// Usage: node build.mjs [--release]; RMQ_BLESS=1 rewrites native.d.ts.
//
// Cargo is called without --target, so that the addon shares its build with the rest of the
// workspace (`napi build` always names a target, and compiles everything a second time).

import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

import { generateTypeDef } from '@napi-rs/cli'

import { thisPlatform } from './scripts/platforms.mjs'

const here = dirname(fileURLToPath(import.meta.url))
const require = createRequire(import.meta.url)
const target = resolve(process.env.CARGO_TARGET_DIR ?? join(here, '../../target'))
const profile = process.argv.includes('--release') ? 'release' : 'debug'
const libraryNames = {
  darwin: 'librmq_node.dylib',
  win32: 'rmq_node.dll',
}

function buildAddon(typeDefDir) {
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
  const addon = join(here, 'rmq.node')
  // A new file: a process may have the old one loaded.
  rmSync(addon, { force: true })
  copyFileSync(join(target, profile, library), addon)
  if (process.platform === 'linux') execFileSync('strip', ['--strip-debug', addon])
  return addon
}

async function checkTypes(typeDefDir) {
  const { exports, dts } = await generateTypeDef({ typeDefDir, cwd: here })
  if (exports.length === 0) throw new Error('the addon declares nothing')
  const committed = join(here, 'native.d.ts')
  if (process.env.RMQ_BLESS) writeFileSync(committed, dts)
  if (readFileSync(committed, 'utf8') !== dts) {
    throw new Error('native.d.ts is stale: run `make bless` and commit it')
  }
}

// The modules proper are CommonJS. What `import` gets are the same objects under the same names, so
// that a program which loads the package both ways has one RmqError and one list of open handles.
function compile() {
  const dist = join(here, 'dist')
  rmSync(dist, { recursive: true, force: true })
  const compiler = join(here, 'node_modules/typescript/bin/tsc')
  execFileSync(process.execPath, [compiler, '-p', here], { stdio: 'inherit' })
  for (const entry of ['index', 'testing']) {
    const names = Object.keys(require(join(dist, `${entry}.js`)))
    const list = names.filter((name) => name !== '__esModule').sort()
    writeFileSync(
      join(dist, `${entry}.mjs`),
      `import all from './${entry}.js'\nexport const {\n  ${list.join(',\n  ')},\n} = all\n`,
    )
    writeFileSync(join(dist, `${entry}.d.mts`), `export * from './${entry}.js'\n`)
  }
}

function layOutPlatform(addon) {
  const own = thisPlatform()
  if (!own) return
  const folder = join(here, 'npm', own.name)
  mkdirSync(folder, { recursive: true })
  copyFileSync(addon, join(folder, 'rmq.node'))
  copyFileSync(join(here, '../../LICENSE'), join(folder, 'LICENSE'))
  const { version, license, engines } = require(join(here, 'package.json'))
  const { name, os, cpu, libc } = own
  const description = `The addon of rmq (RocketMQ) for ${os}, ${cpu}`
  const limits = { os: [os], cpu: [cpu], ...(libc ? { libc: [libc] } : {}) }
  const manifest = { name, version, description, license, engines, main: 'rmq.node', ...limits }
  const files = ['rmq.node', 'LICENSE']
  writeFileSync(
    join(folder, 'package.json'),
    `${JSON.stringify({ ...manifest, files }, null, 2)}\n`,
  )
}

const typeDefDir = join(target, 'napi-type-def')
rmSync(typeDefDir, { recursive: true, force: true })
mkdirSync(typeDefDir, { recursive: true })
rmSync(join(here, 'npm'), { recursive: true, force: true })

const addon = buildAddon(typeDefDir)
await checkTypes(typeDefDir)
compile()
layOutPlatform(addon)
console.log(`rmq: ${profile} build`)
