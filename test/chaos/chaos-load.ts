import { setTimeout as delay } from 'node:timers/promises';
import { ActorDiedError, CodistillError } from '../../errors.ts';
import { type Handle, withCallOptions } from '../../runtime/index.ts';
import type { Entries, Entry } from './ledger.ts';

interface LedgerMethods {
  enter(caller: string, number: number): Promise<number>;
  enterAgain(caller: string, number: number): Promise<number>;
}

const CALL_MS = 12_000;
/** A busy machine may run a timer late; what settles later than this has missed its deadline. */
const SLACK_MS = 8_000;
const IN_FLIGHT_MAX = 4;
const PAUSE_MS = 25;

/** What one caller saw of its calls to one ledger. */
export interface CallerRecord {
  readonly name: string;
  readonly method: 'enter' | 'enterAgain';
  readonly confirmed: readonly number[];
  readonly failed: number;
  /** What should never happen, in words. */
  readonly findings: readonly string[];
}

/** Enters 0, 1, 2, … a few at a time, until `signal`; resolves when all calls have settled. */
export async function enterNumbers(options: {
  readonly ledger: Handle<LedgerMethods>;
  readonly name: string;
  readonly method: CallerRecord['method'];
  readonly signal: AbortSignal;
}): Promise<CallerRecord> {
  const { name, method, signal } = options;
  const handle = withCallOptions(options.ledger, { timeoutMs: CALL_MS });
  const confirmed: number[] = [];
  const findings: string[] = [];
  const open = new Set<Promise<void>>();
  let failed = 0;
  for (let number = 0; !signal.aborted; number += 1) {
    while (open.size >= IN_FLIGHT_MAX) await Promise.race(open);
    const call = settleInTime(handle[method](name, number)).then(
      () => void confirmed.push(number),
      (error: unknown) => {
        failed += 1;
        const finding = judgeFailure(error);
        if (finding) findings.push(`${name}: ${method} ${number} ${finding}`);
      },
    );
    open.add(call);
    void call.finally(() => open.delete(call));
    await delay(PAUSE_MS);
  }
  await Promise.all(open);
  return { name, method, confirmed, failed, findings };
}

/** What the final entries of a ledger show to be wrong. */
export function checkEntries(record: CallerRecord, entries: Entries): readonly string[] {
  const { name, method, confirmed } = record;
  const mine = entries[name] ?? [];
  const there = new Set(mine.map(({ number }) => number));
  const lost = confirmed.filter((number) => !there.has(number));
  const findings = lost.map((number) => `${name}: ${number} was confirmed, and is lost`);
  for (const [index, entry] of mine.entries()) {
    const before = mine[index - 1];
    if (before === undefined || !isOutOfOrder(before, entry, method)) continue;
    const text = `${describe(entry)} was entered after ${describe(before)}`;
    findings.push(`${name}: ${method} ${text}`);
  }
  return findings;
}

/** What is idempotent may be done again in another life, but in order there too. */
function isOutOfOrder(before: Entry, entry: Entry, method: CallerRecord['method']): boolean {
  if (entry.epoch < before.epoch) return true;
  if (entry.epoch > before.epoch && method === 'enterAgain') return false;
  return entry.number <= before.number;
}

function describe({ number, epoch }: Entry): string {
  return `${number} (life ${epoch})`;
}

async function settleInTime(call: Promise<number>): Promise<void> {
  const began = performance.now();
  const enough = new AbortController();
  const late = delay(CALL_MS + SLACK_MS, undefined, { signal: enough.signal }).then(
    () => {
      throw new Overdue(performance.now() - began);
    },
    () => {},
  );
  try {
    await Promise.race([call, late]);
  } finally {
    enough.abort();
  }
}

class Overdue extends Error {
  constructor(ms: number) {
    super(`has not settled after ${Math.round(ms)} ms`);
  }
}

/** Undefined for a failure that a fault explains. */
function judgeFailure(error: unknown): string | undefined {
  if (error instanceof Overdue) return error.message;
  if (!(error instanceof CodistillError)) return `failed with a foreign error: ${error}`;
  if (!(error instanceof ActorDiedError)) {
    return ['DEADLINE', 'MAILBOX_FULL'].includes(error.code) ? undefined : `failed: ${error}`;
  }
  const { kind, message } = error.deathCause;
  const isGiven = message.length > 0 && !/unknown cause/.test(message) && kind !== 'stopped';
  return isGiven ? undefined : `failed without a cause of death: ${error.message}`;
}
