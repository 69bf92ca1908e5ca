// Around `npm pack`: a package that is published depends on the packages of the platforms, and has
// the licence in it; this folder itself, where the addon is built, does not.

import { copyFileSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { platforms } from './platforms.mjs'

const here = join(dirname(fileURLToPath(import.meta.url)), '..')
const path = join(here, 'package.json')
const text = readFileSync(path, 'utf8')
const manifest = JSON.parse(text)
// One line of its own, so that it goes as it came, and the rest keeps its layout.
const marker = /\n {2}"optionalDependencies": .*/

if (process.argv[2] === 'before') {
  if (!existsSync(join(here, 'dist/index.js'))) {
    throw new Error('there is nothing to pack: `npm run build` comes first')
  }
  copyFileSync(join(here, '../../LICENSE'), join(here, 'LICENSE'))
  const dependencies = Object.fromEntries(
    platforms.map(({ name }) => [name, manifest.version]),
  )
  const line = `\n  "optionalDependencies": ${JSON.stringify(dependencies)},`
  const without = text.replace(marker, '')
  writeFileSync(path, without.replace(/\n {2}"devDependencies"/, `${line}$&`))
} else {
  rmSync(join(here, 'LICENSE'), { force: true })
  writeFileSync(path, text.replace(marker, ''))
}
