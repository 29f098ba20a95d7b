import { checkRetryPolicy, type RetryPolicy } from './retry.ts';

export const CALL_TIMEOUT_MS = 30_000;
export const STREAM_ITEMS = 16;

export interface CallOptions {
  /** For a call from now to its answer, for a stream each wait for an item. Default 30 s. */
  readonly timeoutMs?: number;
  /** Aborting rejects the call at once and tells the actor. */
  readonly signal?: AbortSignal;
  /** How many items of a stream may be on their way or unread. Default 16. */
  readonly streamItemsMax?: number;
  /**
   * Calls of one method with one key, of whatever callers, act once in one life of the actor: later
   * ones get the answer of the first. Failures are not kept. An actor remembers 4,096 keys.
   */
  readonly idempotencyKey?: string;
  /** For `idempotent` methods: tries again after some errors, within `timeoutMs` in all. */
  readonly retry?: RetryPolicy;
}

const names: readonly (keyof CallOptions)[] = [
  'timeoutMs',
  'signal',
  'streamItemsMax',
  'idempotencyKey',
  'retry',
];
const STREAM_ITEMS_MAX = 4096;
const KEY_CHARACTERS_MAX = 256;
/** A longer timer would fire at once. */
const TIMER_MS_MAX = 2 ** 31 - 1;

/** @throws TypeError for an unknown option, RangeError for a value out of range; both name it. */
export function checkCallOptions(options: CallOptions): void {
  for (const key of Object.keys(options)) {
    if (names.includes(key as keyof CallOptions)) continue;
    throw new TypeError(`there is no call option ${key}; valid are: ${names.join(', ')}`);
  }
  const { timeoutMs, streamItemsMax, idempotencyKey, retry } = options;
  if (timeoutMs !== undefined && !(timeoutMs > 0 && timeoutMs <= TIMER_MS_MAX)) {
    throw new RangeError(`timeoutMs must be over 0 and at most ${TIMER_MS_MAX}, got ${timeoutMs}`);
  }
  if (streamItemsMax !== undefined && !isWithin(streamItemsMax, STREAM_ITEMS_MAX)) {
    throw new RangeError(`streamItemsMax must be 1 to ${STREAM_ITEMS_MAX}, got ${streamItemsMax}`);
  }
  if (idempotencyKey !== undefined && !isWithin(idempotencyKey.length, KEY_CHARACTERS_MAX)) {
    throw new RangeError(
      `idempotencyKey must have 1 to ${KEY_CHARACTERS_MAX} characters, got ${idempotencyKey.length}`,
    );
  }
  if (retry !== undefined) checkRetryPolicy(retry);
}

function isWithin(value: number, max: number): boolean {
  return Number.isInteger(value) && value >= 1 && value <= max;
}
