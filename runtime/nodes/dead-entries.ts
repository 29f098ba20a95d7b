import { type Clock, type ClockTimer, repeat } from '../clock.ts';
import { type Register, type RegisterEntry, registerKey } from '../registry/register.ts';
import { decodeToken } from '../wire/address.ts';
import { parseNameRecord } from './name-record.ts';
import { fenceSilent } from './registration.ts';

/** Each look reads all nodes' entries. */
const LOOK_MS = 60_000;
/** Far longer than a lease, and than a node that was cut off takes to be heard again. */
const KEPT_MS = 50_000;
const WAIT = { timeoutMs: 8_000 };
/** Of dead nodes in one look, one after the other. */
const NODES_MAX = 256;

export interface DeadEntriesOptions {
  readonly register: Register;
  readonly clock: Clock;
  /** It would be heard if it were alive. */
  isMissing(nodeId: string): boolean;
  /** One of those that would hear the same nodes looks after their entries. */
  isFirst(): boolean;
}

/**
 * Deletes what nodes that were killed leave in the register, within three minutes: the names of actors that
 * died with them, and their own entries once no detached actor's name refers to them, as a missing entry
 * says that its node has left in an orderly way. A node that was only away finds itself fenced off,
 * and enters again before it acts.
 */
export class DeadEntries {
  readonly #options: DeadEntriesOptions;
  readonly #looking: ClockTimer;
  /** Missing nodes' entries by key, with the revision that they have had since. */
  #seen = new Map<string, { readonly revision: number; readonly since: number }>();
  #busy = false;

  constructor(options: DeadEntriesOptions) {
    this.#options = options;
    this.#looking = repeat(options.clock, LOOK_MS, () => void this.#look());
  }

  close(): void {
    this.#looking.cancel();
  }

  async #look(): Promise<void> {
    if (this.#busy) return;
    this.#busy = true;
    try {
      if (this.#options.isFirst()) await this.#deleteDue();
      else this.#seen.clear();
    } catch {
      // What was not looked at for a while counts anew: the register may have been away to that node too.
      this.#seen.clear();
    } finally {
      this.#busy = false;
    }
  }

  async #deleteDue(): Promise<void> {
    const { register, clock, isMissing } = this.#options;
    const entries = await register.list('nodes', WAIT);
    const now = clock.now();
    const seen = new Map<string, { readonly revision: number; readonly since: number }>();
    const due: RegisterEntry[] = [];
    for (const entry of entries) {
      const { key, revision } = entry;
      if (!isMissing(decodeToken(key.slice(key.indexOf('.') + 1)))) continue;
      const before = this.#seen.get(key);
      const since = before?.revision === revision ? before.since : now;
      seen.set(key, { revision, since });
      if (now - since >= KEPT_MS) due.push(entry);
    }
    this.#seen = seen;
    if (due.length > 0) await this.#delete(due.slice(0, NODES_MAX));
  }

  async #delete(due: readonly RegisterEntry[]): Promise<void> {
    const { register } = this.#options;
    const needed = new Set<string>();
    const names = new Map<string, RegisterEntry[]>();
    for (const entry of await register.list('names', WAIT)) {
      const record = parseNameRecord(entry);
      // It may refer to any of them.
      if (record === undefined) return;
      const { node, detached } = record;
      const key = registerKey('nodes', node);
      if (detached !== undefined) needed.add(key).add(registerKey('nodes', detached.nodeId));
      else names.set(key, [...(names.get(key) ?? []), entry]);
    }
    for (const entry of due) {
      const revision = await fenceSilent(register, entry);
      if (revision === undefined) continue;
      for (const name of names.get(entry.key) ?? []) {
        await register.delete(name.key, name.revision, WAIT);
      }
      if (!needed.has(entry.key)) await register.delete(entry.key, revision, WAIT);
    }
  }
}
