// The types, as a strict TypeScript program meets them.

import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const project = fileURLToPath(new URL('..', import.meta.url))
const modules = join(process.env.RMQ_NODE_SOURCE, 'node_modules')

function compile(name, compilerOptions) {
  const folder = join(project, name)
  mkdirSync(folder)
  cpSync(join(project, 'test/types.test.mts'), join(folder, compilerOptions.file))
  const options = {
    strict: true,
    noEmit: true,
    exactOptionalPropertyTypes: true,
    target: 'ES2022',
    lib: ['ES2023', 'ESNext.Disposable'],
    types: ['node'],
    typeRoots: [join(modules, '@types')],
    ...compilerOptions.options,
  }
  const config = { compilerOptions: options, files: [compilerOptions.file] }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config))
  const compiler = join(modules, 'typescript/bin/tsc')
  try {
    execFileSync(process.execPath, [compiler, '-p', folder], { encoding: 'utf8' })
  } catch (error) {
    throw new Error(error.stdout)
  }
}

test('the types hold for ES modules', () => {
  const options = { module: 'NodeNext', moduleResolution: 'NodeNext' }
  compile('types-esm', { file: 'all.mts', options })
})

test('the types hold for CommonJS', () => {
  const options = { module: 'NodeNext', moduleResolution: 'NodeNext' }
  compile('types-cjs', { file: 'all.cts', options })
})
