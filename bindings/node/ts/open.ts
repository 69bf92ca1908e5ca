// What is open, and whether the process stays alive for it.

/** Something that was started and not closed. */
export interface OpenHandle {
  /** The class, for example 'Broker'. */
  readonly kind: string
  /** Its address, group or the like. */
  readonly name: string
  /** Whether the process stays alive for it (see `ref` and `unref`). */
  readonly holds: boolean
  /** The stack of the call that started it. */
  readonly startedAt: string
}

const LONGEST_MS = 2 ** 31 - 1
// A timer is the one thing of the event loop that JavaScript can hold and let go of in every
// environment, workers included.
const timer = setInterval(() => {}, LONGEST_MS)
timer.unref()
let holders = 0

/** Keeps the process alive until as many `release`. */
export function hold(): void {
  if (holders++ === 0) timer.ref()
}

export function release(): void {
  if (--holders === 0) timer.unref()
}

/** What a handle may do at the end of the process. */
export interface AtExit {
  /** @internal Ends it at once, where something would be left behind otherwise. */
  atExit(): void
}

const open = new Map<AtExit, OpenHandle>()

/** The process, or the worker, ends while servers run: their temporary folders would stay. */
function atExit(): void {
  for (const handle of open.keys()) handle.atExit()
}

/**
 * What was started in this thread and not closed. If a process does not come to its end, this says
 * why.
 */
export function openHandles(): OpenHandle[] {
  return [...open.values()]
}

/** Makes a part of the program known as open; the process stays alive for it. */
export function opened(handle: AtExit, kind: string, name: string, startedAt: string): void {
  hold()
  // Only while it is needed: test frameworks load a package once for each file.
  if (open.size === 0) process.on('exit', atExit)
  open.set(handle, { kind, name, holds: true, startedAt })
}

export function closed(handle: AtExit): void {
  if (open.get(handle)?.holds) release()
  if (open.delete(handle) && open.size === 0) process.off('exit', atExit)
}

export function setHolds(handle: AtExit, holds: boolean): void {
  const entry = open.get(handle)
  if (!entry || entry.holds === holds) return
  if (holds) hold()
  else release()
  open.set(handle, { ...entry, holds })
}

/** The stack of who called `above`, without the lines of rmq. */
export function callerStack(above: (...args: never[]) => unknown): string {
  const holder: { stack?: string } = {}
  Error.captureStackTrace(holder, above)
  return (holder.stack ?? '').split('\n').slice(1).join('\n')
}
