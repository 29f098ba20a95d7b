import { setTimeout as delay } from 'node:timers/promises';

const TIMEOUT_MS = 20_000;

/** Resolves when no process has this pid any more. @throws Error after 20 s. */
export async function waitForProcessEnd(pid: number): Promise<void> {
  await waitUntil(() => !isAlive(pid), `process ${pid} to end`);
}

/** Looks every few milliseconds, for what nothing announces. @throws Error after that time. */
export async function waitUntil(
  holds: () => boolean | Promise<boolean>,
  what: string,
  timeoutMs: number = TIMEOUT_MS,
): Promise<void> {
  const giveUpAt = performance.now() + timeoutMs;
  while (!(await holds())) {
    if (performance.now() > giveUpAt) throw new Error(`waited ${timeoutMs} ms for ${what}`);
    await delay(10);
  }
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
