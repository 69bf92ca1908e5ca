// The types, as a strict TypeScript program meets them.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const project = fileURLToPath(new URL('..', import.meta.url))
const modules = join(process.env.RMQ_NODE_SOURCE, 'node_modules')

function compile(name, sources) {
  const folder = join(project, name)
  mkdirSync(folder)
  for (const [file, text] of Object.entries(sources)) writeFileSync(join(folder, file), text)
  const compilerOptions = {
    strict: true,
    noEmit: true,
    exactOptionalPropertyTypes: true,
    target: 'ES2022',
    lib: ['ES2023', 'ESNext.Disposable'],
    module: 'NodeNext',
    moduleResolution: 'NodeNext',
    types: ['node'],
    typeRoots: [join(modules, '@types')],
  }
  const config = { compilerOptions, files: Object.keys(sources) }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config))
  const compiler = join(modules, 'typescript/bin/tsc')
  try {
    execFileSync(process.execPath, [compiler, '-p', folder], { encoding: 'utf8' })
  } catch (error) {
    throw new Error(error.stdout)
  }
}

const all = readFileSync(join(project, 'test/types.test.mts'), 'utf8')

test('the types hold for ES modules', () => compile('types-esm', { 'all.mts': all }))

test('the types hold for CommonJS', () => compile('types-cjs', { 'all.cts': all }))

/** What the README takes from the program around its examples. */
const AROUND = `
  declare function work(body: Buffer): Promise<void>
  declare function placeOrder(at: { namesrv: string; topic: string }): Promise<void>
  declare function currentSpan(): string
  declare function count(group: string, topic: string, done: boolean): void
`

test('the examples of the README are strict TypeScript', () => {
  const readme = readFileSync(join(modules, '../README.md'), 'utf8')
  const blocks = [...readme.matchAll(/^```(?:js|ts)\n(.*?)^```$/gms)].map(([, text]) => text)
  const programs = []
  for (const block of blocks) {
    // One without imports goes on where the one before it ended.
    if (block.startsWith('import ')) programs.push(AROUND)
    programs[programs.length - 1] += block
  }
  assert.ok(programs.length >= 3, `${programs.length} programs`)
  const named = programs.map((text, i) => [`readme-${i}.mts`, text])
  compile('types-readme', Object.fromEntries(named))
})
