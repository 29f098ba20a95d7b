import { linkSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { CodistillError } from '../../errors.ts';
import { readIfThere } from '../atomic-file.ts';

/** Another process is at work in the run directory. */
export class RunLockedError extends CodistillError {
  readonly code = 'RUN_LOCKED';
}

/** Held while a process works in a run directory; disposing lets it go. */
export interface RunLock extends Disposable {
  readonly path: string;
}

const attemptsMax = 5;

/**
 * Takes `<directory>/lock`, so that no two processes write one run. The lock of a process of this
 * host that is no longer alive is taken over; one of another host (a shared disk) never is.
 * @throws RunLockedError
 */
export function takeRunLock(directory: string): RunLock {
  const path = join(directory, 'lock');
  const mine = `${process.pid} ${hostname()}\n`;
  const draft = `${path}.${process.pid}`;
  writeFileSync(draft, mine);
  try {
    for (let attempt = 0; attempt < attemptsMax; attempt++) {
      if (createExclusively(draft, path))
        return { path, [Symbol.dispose]: () => release(path, mine) };
      const holder = readIfThere(path);
      if (holder === undefined) continue;
      if (!isStale(holder)) throw lockedError(directory, holder);
      removeStale(path, holder);
    }
    throw lockedError(directory, readIfThere(path) ?? 'unknown');
  } finally {
    rmSync(draft, { force: true });
  }
}

/** A hard link appears with its content or not at all; the lock is never seen half written. */
function createExclusively(draft: string, path: string): boolean {
  try {
    linkSync(draft, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/**
 * Moves the stale lock aside. When two processes do so at once, the slower one has moved the lock of the
 * quicker: it sees the foreign content and puts it back.
 */
function removeStale(path: string, holder: string): void {
  const aside = `${path}.stale.${process.pid}`;
  try {
    renameSync(path, aside);
    if (readIfThere(aside) !== holder) createExclusively(aside, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  } finally {
    rmSync(aside, { force: true });
  }
}

function isStale(holder: string): boolean {
  const [pid, host] = holder.trim().split(' ');
  if (!/^\d+$/.test(pid ?? '')) return true;
  if (host !== hostname()) return false;
  if (Number(pid) === process.pid) return true;
  try {
    process.kill(Number(pid), 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
}

function release(path: string, mine: string): void {
  if (readIfThere(path) === mine) rmSync(path, { force: true });
}

function lockedError(directory: string, holder: string): RunLockedError {
  const [pid, host] = holder.trim().split(' ');
  return new RunLockedError(
    `Process ${pid} on ${host} is at work in ${directory}. Wait for it or stop it; if you are sure ` +
      `that it is gone, delete ${join(directory, 'lock')}.`,
  );
}
