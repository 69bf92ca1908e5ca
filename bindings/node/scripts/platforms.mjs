// The platforms that rmq has a package for. Each is an optional dependency; package managers
// install the one whose os, cpu and libc fit, so nothing is downloaded or built by a script.

export const platforms = [
  { name: 'rmq-linux-x64-gnu', os: 'linux', cpu: 'x64', libc: 'glibc' },
  { name: 'rmq-linux-arm64-gnu', os: 'linux', cpu: 'arm64', libc: 'glibc' },
]

/** That of this process, if there is one. */
export function thisPlatform() {
  const libc = process.report?.getReport().header.glibcVersionRuntime ? 'glibc' : 'musl'
  const fits = ({ os, cpu, libc: own }) =>
    os === process.platform && cpu === process.arch && (os !== 'linux' || own === libc)
  return platforms.find(fits)
}
