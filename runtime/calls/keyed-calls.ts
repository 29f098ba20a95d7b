import { decodeFrame, encodeFrame } from '../wire/frame.ts';
import type { ReceivedCall } from './session.ts';

/** Answers kept, and their bytes together; the oldest ones are forgotten first. */
const ANSWERS_MAX = 4096;
const ANSWER_BYTES_MAX = 16 << 20;

/** Calls that wait for one run; as many as may wait in a mailbox by default. */
const CALLS_MAX = 1024;

/** The calls that share one run of a method, because they came with one key while it went on. */
export class KeyedRun {
  readonly key: string;
  readonly calls: ReceivedCall[] = [];
  /** Nobody waits for the run any more. */
  onUnwanted: (() => void) | undefined;

  constructor(key: string) {
    this.key = key;
  }

  /** False when too many wait already. */
  join(call: ReceivedCall): boolean {
    if (this.calls.length >= CALLS_MAX) return false;
    this.calls.push(call);
    call.keyed = this;
    call.onCancel = () => {
      if (this.wanted() === undefined) this.onUnwanted?.();
    };
    return true;
  }

  /** The first call whose caller still waits. */
  wanted(): ReceivedCall | undefined {
    return this.calls.find(({ cancelled }) => !cancelled);
  }

  /** The run is over: each of its calls is by itself again. */
  disband(): readonly ReceivedCall[] {
    for (const call of this.calls) call.keyed = undefined;
    return this.calls;
  }
}

/**
 * Answers by idempotency key, within one life of an actor: what was done under a key, by whatever
 * caller, is not done again. Failures are not kept, so that trying again makes sense.
 */
export class KeyedCalls {
  readonly #runs = new Map<string, KeyedRun>();
  readonly #answers = new Map<string, Uint8Array>();
  #bytes = 0;

  run(key: string): KeyedRun | undefined {
    return this.#runs.get(key);
  }

  begin(key: string, call: ReceivedCall): void {
    const run = new KeyedRun(key);
    run.join(call);
    this.#runs.set(key, run);
  }

  answered(key: string): boolean {
    return this.#answers.has(key);
  }

  /** A copy of the answer that was given under this key. */
  answer(key: string): unknown {
    return decodeFrame(this.#answers.get(key)!);
  }

  /** The run failed or never began. */
  forget({ key }: KeyedRun): void {
    this.#runs.delete(key);
  }

  /** @throws TypeError when the value can't be sent. */
  keep({ key }: KeyedRun, value: unknown): void {
    this.#runs.delete(key);
    const frame = encodeFrame(value);
    this.#answers.set(key, frame);
    this.#bytes += frame.length;
    for (const [oldest, { length }] of this.#answers) {
      if (this.#answers.size <= ANSWERS_MAX && this.#bytes <= ANSWER_BYTES_MAX) break;
      this.#answers.delete(oldest);
      this.#bytes -= length;
    }
  }
}
