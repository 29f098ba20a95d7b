import { assertPortFree } from '../../cli/server/listen-address.ts';

// Processes that test at the same time begin far apart; 32768 and above are given out by the system.
let next = 10_000 + ((process.pid * 61) % 18_000);

/** A port for `actorctl up`: free with those of its servers, and none that the system gives to others. */
export async function freePortRow(): Promise<number> {
  for (;;) {
    next += 3;
    const row = [next, next + 2000, next + 2001];
    const checks = await Promise.allSettled(row.map((port) => assertPortFree('127.0.0.1', port)));
    if (checks.every(({ status }) => status === 'fulfilled')) return next;
  }
}
