import { CodistillError, DeadlineError, RemoteError } from '../errors.ts';
import { type Clock, delay } from '../runtime/index.ts';

/** How long an actor bears the failures of others before it gives up. */
export interface Patience {
  readonly clock: Clock;
  /** Failures in a row for this long are borne: a restart or an outage of the bus is shorter. */
  readonly patienceMs: number;
}

export interface RetryOptions extends Patience {
  /** What is tried, for the error: `read training data`. */
  readonly what: string;
  readonly signal: AbortSignal;
  /** Which failures are borne, the others are thrown at once; all but what an actor itself threw, unless given. */
  readonly isPassing?: (error: unknown) => boolean;
}

const FIRST_PAUSE_MS = 50;
const PAUSE_MS_MAX = 2_000;

/**
 * Tries until it succeeds, `signal` aborts or `patienceMs` are over.
 * @throws DeadlineError with the last failure as its cause, or the signal's reason.
 */
export async function retry<T>(attempt: () => Promise<T>, options: RetryOptions): Promise<T> {
  const { clock, patienceMs, signal, what, isPassing = isNoAnswer } = options;
  const startMs = clock.now();
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, PAUSE_MS_MAX)) {
    signal.throwIfAborted();
    try {
      return await attempt();
    } catch (error) {
      signal.throwIfAborted();
      if (!isPassing(error)) throw error;
      if (clock.now() - startMs >= patienceMs) {
        const reason = messageOf(error);
        throw new DeadlineError(
          `could not ${what} within ${Math.round(patienceMs / 1000)} s: ${reason}`,
          { cause: error },
        );
      }
      await delay(clock, pauseMs, signal);
    }
  }
}

/** What a method threw (of a full disk, say), or what doesn't fit, comes again: waiting would only hide it. */
function isNoAnswer(error: unknown): boolean {
  return ![RemoteError, RangeError, TypeError].some((kind) => error instanceof kind);
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

const passingCodes = new Set([
  'ACTOR_DIED',
  'BUS_OVERLOADED',
  'BUS_UNAVAILABLE',
  'DEADLINE',
  'NO_RESPONDER',
]);

/** Whether a failure is of the way to an actor, so that it may be gone the next time. */
export function isPassing(error: unknown): boolean {
  return error instanceof CodistillError && passingCodes.has(error.code);
}
