import { DamagedDataError } from '../../errors.ts';
import type { Subscription } from '../bus/bus.ts';
import { encodeToken } from '../wire/address.ts';
import { decodeFrame, encodeFrame } from '../wire/frame.ts';

/** Facts are kept here, not data: who has a name, who owns what. */
export const REGISTER_VALUE_BYTES_MAX: number = 256 << 10;
const KEY_CHARACTERS_MAX = 512;
const KEY = /^[\w=-]+(?:\.[\w=-]+)*$/;

export interface RegisterEntry {
  readonly key: string;
  readonly value: unknown;
  /** Grows with every write to the whole register: a later one of two is the greater one. */
  readonly revision: number;
}

export type RegisterChange =
  | ({ readonly type: 'set' } & RegisterEntry)
  | { readonly type: 'deleted'; readonly key: string; readonly revision: number };

export interface RegisterWait {
  /** For the whole operation, its repetitions after losses included. */
  readonly timeoutMs: number;
}

/**
 * What all systems of a namespace agree on: values under keys, each written only by who knows what
 * was there before. A write that returns a revision has happened exactly once; one that throws may
 * have happened or not, and is to be looked after.
 *
 * Keys are words joined by dots, made with `registerKey`. Values are what frames carry, up to
 * `REGISTER_VALUE_BYTES_MAX`. Everything throws DeadlineError when the register does not answer in
 * time, TypeError for what is no key or value, RangeError for a value that is too large.
 */
export interface Register {
  /** As the register's leader has it; only a write with its revision proves that it still holds. */
  get(key: string, wait: RegisterWait): Promise<RegisterEntry | undefined>;
  /** The new entry's revision, or undefined when the key is there already. */
  create(key: string, value: unknown, wait: RegisterWait): Promise<number | undefined>;
  /** The new revision, or undefined when the key's is no longer `revision`. */
  update(
    key: string,
    value: unknown,
    revision: number,
    wait: RegisterWait,
  ): Promise<number | undefined>;
  /** False when the key's revision is no longer `revision`. */
  delete(key: string, revision: number, wait: RegisterWait): Promise<boolean>;
  /**
   * Entries below `prefix` (keys `prefix.…`; all for ''), by key; each as fresh as by `get`. What something
   * else wrote there and no register can read is left out, here and by `watch`; `get` tells of it.
   */
  list(prefix: string, wait: RegisterWait): Promise<readonly RegisterEntry[]>;
  /**
   * Resolves when changes are watched; `listener` hears of each entry below `prefix` once and then of
   * its changes, in the order of their revisions. Of several changes at once the last may be all that
   * it hears of. It goes on through losses of the connection until it is unsubscribed.
   */
  watch(
    prefix: string,
    listener: (change: RegisterChange) => void,
    wait: RegisterWait,
  ): Promise<Subscription>;
  /** Ends all watches; what the register holds stays. Idempotent. */
  close(): Promise<void>;
}

/** What the keys below a prefix begin with. @throws TypeError */
export function belowPrefix(prefix: string): string {
  if (prefix === '') return '';
  assertRegisterKey(prefix);
  return `${prefix}.`;
}

/** A key of any texts, one word each. */
export function registerKey(...words: readonly string[]): string {
  return words.map(encodeToken).join('.');
}

export function isRegisterKey(key: string): boolean {
  return key.length <= KEY_CHARACTERS_MAX && KEY.test(key);
}

/** @throws TypeError */
export function assertRegisterKey(key: string): void {
  if (isRegisterKey(key)) return;
  throw new TypeError(
    `"${key.slice(0, 100)}" is no key of a register. Expected words of letters, digits, "_", "-" and ` +
      `"=", joined by dots, at most ${KEY_CHARACTERS_MAX} characters; registerKey makes one.`,
  );
}

/** @throws RangeError, or TypeError for what no frame carries. */
export function encodeRegisterValue(key: string, value: unknown): Uint8Array {
  const bytes = encodeFrame(value);
  if (bytes.length <= REGISTER_VALUE_BYTES_MAX) return bytes;
  throw new RangeError(
    `the value for ${key} takes ${bytes.length} bytes; a register keeps values of up to ` +
      `${REGISTER_VALUE_BYTES_MAX}. Keep large data elsewhere and its place here.`,
  );
}

/** @throws DamagedDataError */
export function decodeRegisterValue(key: string, bytes: Uint8Array): unknown {
  try {
    return decodeFrame(bytes);
  } catch (error) {
    throw new DamagedDataError(`The register holds nothing readable under ${key}.`, {
      cause: error,
    });
  }
}
