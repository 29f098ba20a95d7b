import {
  abortSignal,
  checkGiven,
  fields,
  type OptionSchemas,
  optional,
  text,
  timeout,
  whole,
} from '../option-check.ts';
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

const schemas = {
  timeoutMs: optional(timeout),
  signal: optional(abortSignal),
  streamItemsMax: optional(whole(1, 4096)),
  idempotencyKey: optional(text(1, 256)),
  retry: optional(fields('an object of attempts, backoffMs and errors')),
} satisfies OptionSchemas & Record<keyof CallOptions, unknown>;

/** @throws TypeError or RangeError that names the option. */
export function checkCallOptions(options: CallOptions): void {
  checkGiven('call option', schemas, options);
  if (options.retry !== undefined) checkRetryPolicy(options.retry);
}
