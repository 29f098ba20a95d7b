import { RemoteError } from '../../errors.ts';
import { type Clock, delay } from '../clock.ts';
import { checkGiven, from, type OptionSchemas, such, whole } from '../option-check.ts';

export interface RetryPolicy {
  /** Calls in all, the first included: 2 to 100. */
  readonly attempts: number;
  /** Before the second attempt; doubles with each, up to 10 s. */
  readonly backoffMs: number;
  /**
   * Only these are tried again: codes (`MAILBOX_FULL`, or the `code` of an error that the method threw)
   * and classes, which for an error that crossed the wire are compared by name.
   */
  readonly errors: readonly (string | ErrorClass)[];
}

// biome-ignore lint/suspicious/noExplicitAny: a class matches whatever its constructor takes
export type ErrorClass = abstract new (...args: any[]) => Error;

export interface RetryOptions {
  readonly clock: Clock;
  /** For all attempts and the pauses between them. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
}

const BACKOFF_MS_MAX = 10_000;

const schemas = {
  attempts: whole(2, 100),
  backoffMs: from(0, BACKOFF_MS_MAX),
  errors: such(
    (errors) => Array.isArray(errors) && errors.length > 0 && errors.every(isErrorOfList),
    'a list, not empty, of the codes or classes of errors to try again after',
  ),
} satisfies OptionSchemas & Record<keyof RetryPolicy, unknown>;

/** @throws TypeError or RangeError naming what is wrong. */
export function checkRetryPolicy(policy: RetryPolicy): void {
  checkGiven('retry option', schemas, policy);
}

function isErrorOfList(entry: unknown): boolean {
  if (typeof entry === 'string') return entry !== '';
  // What is no class has no prototype, and `instanceof` would throw in the midst of a call.
  return typeof entry === 'function' && typeof entry.prototype === 'object';
}

/** Repeats `attempt`, with what is left of the time, while it fails with an error of the list. */
export async function withRetries<Result>(
  policy: RetryPolicy,
  { clock, timeoutMs, signal }: RetryOptions,
  attempt: (timeoutMs: number) => Promise<Result>,
): Promise<Result> {
  const giveUpAt = clock.now() + timeoutMs;
  for (let made = 1; ; made += 1) {
    try {
      return await attempt(Math.max(1, giveUpAt - clock.now()));
    } catch (error) {
      if (made >= policy.attempts || !isListed(error, policy.errors)) throw error;
      const pauseMs = Math.min(policy.backoffMs * 2 ** (made - 1), BACKOFF_MS_MAX);
      if (clock.now() + pauseMs >= giveUpAt) throw error;
      await delay(clock, pauseMs, signal);
    }
  }
}

function isListed(error: unknown, listed: RetryPolicy['errors']): boolean {
  const { code } = error as { code?: unknown };
  const remote = error instanceof RemoteError ? error : undefined;
  return listed.some((entry) =>
    typeof entry === 'string'
      ? entry === code || entry === remote?.remoteCode
      : error instanceof entry || entry.name === remote?.remoteName,
  );
}
