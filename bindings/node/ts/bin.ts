#!/usr/bin/env node
// `npx rmq`: servers for development, and administration, from the command line.

import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'

import { Admin } from './admin'
import { type ClusterOptions, type Deployment, startCluster } from './cluster'
import type { Config } from './config'
import { RmqError } from './errors'
import { Broker, NameServer } from './servers'
import { native } from './native'

const USAGE = `usage: rmq COMMAND [OPTIONS] [KEY=VALUE...]

  rmq namesrv [-c FILE]               a nameserver, at 127.0.0.1:9876
  rmq broker [-n NAMESRV] [-c FILE]   a broker, at 127.0.0.1:10911
  rmq cluster [--deployment single-master|masters|async-slaves|sync-double-write]
              [--masters N] [--slaves N] [--namesrvs N]
  rmq admin [-n NAMESRV] COMMAND      a command of mqadmin; "help" lists them
  rmq --version

KEY=VALUE are keys of Apache's broker.conf or namesrv.conf (listenPort=0 is a free port), of admin
the command's arguments. Without storePathRootDir=FOLDER servers store in a temporary folder.
-c reads keys from a file.
`

type Stoppable = { close(): Promise<void> }

/** A command line that cannot be meant. */
class Misuse extends Error {}

/** Keys of a file in Java's properties format, as far as servers' files use it. */
function readConfig(path: string): Record<string, string> {
  const keys: Record<string, string> = {}
  for (const line of readFileSync(path, 'utf8').split(/\r?\n/)) {
    const text = line.trim()
    if (text === '' || text.startsWith('#') || text.startsWith('!')) continue
    const at = text.search(/[=:]/)
    if (at < 0) throw new Misuse(`${path}: "${text}" is no KEY=VALUE`)
    keys[text.slice(0, at).trim()] = text.slice(at + 1).trim()
  }
  return keys
}

function pairs(texts: string[]): Record<string, string> {
  return Object.fromEntries(
    texts.map((text) => {
      const at = text.indexOf('=')
      if (at < 1) throw new Misuse(`"${text}" is no KEY=VALUE`)
      return [text.slice(0, at), text.slice(at + 1)]
    }),
  )
}

const OPTIONS = {
  config: { type: 'string', short: 'c' },
  namesrv: { type: 'string', short: 'n' },
  deployment: { type: 'string' },
  masters: { type: 'string' },
  slaves: { type: 'string' },
  namesrvs: { type: 'string' },
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean', short: 'v' },
} as const

function parse(args: string[]) {
  try {
    return parseArgs({ args, options: OPTIONS, allowPositionals: true })
  } catch (error) {
    throw new Misuse((error as Error).message)
  }
}

type Parsed = ReturnType<typeof parse>

function number(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  if (!/^\d+$/.test(text)) throw new Misuse(`"${text}" is no number`)
  return Number(text)
}

async function startNamed(command: string, { values }: Parsed, keys: Config): Promise<Stoppable> {
  if (command === 'namesrv') {
    const server = await NameServer.start({ listenPort: 9876, ...keys })
    console.log(`nameserver at ${server.address}`)
    return server
  }
  if (command === 'broker') {
    const namesrvAddr = values.namesrv ?? '127.0.0.1:9876'
    const broker = await Broker.start({ namesrvAddr, listenPort: 10911, ...keys })
    console.log(`broker ${broker.name} at ${broker.address}`)
    return broker
  }
  const options: ClusterOptions = {
    deployment: values.deployment as Deployment | undefined,
    masters: number(values.masters),
    slavesEach: number(values.slaves),
    nameServers: number(values.namesrvs),
    config: keys,
  }
  const cluster = await startCluster(options)
  for (const { name, role, address } of cluster.members()) console.log(`${name} ${role} ${address}`)
  console.log(`nameservers ${cluster.namesrv}`)
  return cluster
}

async function serve(command: string, parsed: Parsed, rest: string[]): Promise<void> {
  const { config } = parsed.values
  const keys = { ...(config ? readConfig(config) : {}), ...pairs(rest) }
  const server = await startNamed(command, parsed, keys)
  await new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve())
  })
  await server.close()
}

async function administrate({ values }: Parsed, rest: string[]): Promise<void> {
  const [command, ...args] = rest
  if (!command) throw new Misuse('admin needs a command; "rmq admin help" lists them')
  const admin = await Admin.start({ namesrv: values.namesrv ?? '127.0.0.1:9876' })
  try {
    const answer = await admin.invoke(command, pairs(args))
    if (answer !== null) console.log(JSON.stringify(answer, undefined, 2))
  } finally {
    await admin.close()
  }
}

async function main(args: string[]): Promise<void> {
  const parsed = parse(args)
  const { values, positionals } = parsed
  const [command, ...rest] = positionals
  if (values.version) return console.log(native.version())
  if (values.help) return console.log(USAGE)
  switch (command) {
    case 'namesrv':
    case 'broker':
    case 'cluster':
      return serve(command, parsed, rest)
    case 'admin':
      return administrate(parsed, rest)
    default:
      throw new Misuse(command ? `there is no command ${command}` : 'no command is given')
  }
}

main(process.argv.slice(2)).catch((error: unknown) => {
  if (error instanceof Misuse) console.error(`rmq: ${error.message}\n\n${USAGE}`)
  else if (error instanceof RmqError) console.error(`rmq: ${error.code}: ${error.message}`)
  else console.error(error)
  process.exitCode = error instanceof Misuse ? 2 : 1
})
