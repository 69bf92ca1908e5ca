// Runs the tests the way a user meets the package: packed, installed into an empty project without
// a network, and loaded from there. Usage: node test/run.mjs [FILE...]; RMQ_NODE_CYCLES (starts and
// ends of a cluster) and RMQ_NODE_MESSAGES make it longer or shorter.

import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

import { thisPlatform } from '../scripts/platforms.mjs'

const tests = dirname(fileURLToPath(import.meta.url))
const packageDir = join(tests, '..')
const folder = mkdtempSync(join(tmpdir(), 'rmq-node-'))
const npm = (args, cwd) =>
  execFileSync('npm', [...args, '--loglevel=error'], { cwd, encoding: 'utf8' }).trim()

function pack(what) {
  const printed = npm(['pack', '--pack-destination', folder, what], packageDir)
  return join(folder, printed.split('\n').at(-1))
}

function install() {
  const platform = join(packageDir, 'npm', thisPlatform().name)
  const tarballs = [pack('.'), pack(platform)]
  const project = join(folder, 'project')
  mkdirSync(project)
  writeFileSync(join(project, 'package.json'), '{ "private": true }\n')
  npm(['install', '--offline', '--no-audit', '--no-fund', ...tarballs], project)
  cpSync(tests, join(project, 'test'), { recursive: true })
  cpSync(join(packageDir, '../../examples/node'), join(project, 'examples'), { recursive: true })
  return project
}

let status = 1
try {
  const project = install()
  const chosen = process.argv.slice(2).map((file) => file.replace(/^.*\//, ''))
  const files = readdirSync(tests).filter((name) => /\.test\.(js|mjs)$/.test(name))
  const wanted = files.filter((name) => chosen.length === 0 || chosen.includes(name))
  const args = ['--test', '--test-concurrency=2', ...wanted.map((name) => `test/${name}`)]
  const env = { ...process.env, RMQ_NODE_SOURCE: resolve(packageDir) }
  const options = { cwd: project, stdio: 'inherit', env, timeout: 400_000 }
  status = spawnSync(process.execPath, args, options).status ?? 1
} finally {
  rmSync(folder, { recursive: true, force: true })
}
process.exit(status)
