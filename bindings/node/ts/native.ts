// Loads the addon: the one that was built here, or the package for this platform.

import type * as Native from '../native'

/** The package that brings the addon for a platform. */
function packageName(): string {
  const { platform, arch } = process
  if (platform !== 'linux') return `rmq-${platform}-${arch}`
  // glibc says its version; musl has none.
  const header = (process.report?.getReport() as { header?: Record<string, unknown> } | undefined)
    ?.header
  const libc = header?.['glibcVersionRuntime'] === undefined ? 'musl' : 'gnu'
  return `rmq-linux-${arch}-${libc}`
}

function load(): typeof Native {
  try {
    return require('../rmq.node') as typeof Native
  } catch (error) {
    // A build of this folder that does not load is a fault of its own.
    if ((error as NodeJS.ErrnoException).code !== 'MODULE_NOT_FOUND') throw error
  }
  const name = packageName()
  try {
    return require(name) as typeof Native
  } catch (cause) {
    const why =
      `rmq has no addon for this platform: the package ${name} is not installed. ` +
      'It is an optional dependency of rmq; --omit=optional and lock files that were made on ' +
      'another platform leave it out.'
    throw new Error(why, { cause })
  }
}

export const native = load()
