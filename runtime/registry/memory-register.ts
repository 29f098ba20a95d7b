import type { Subscription } from '../bus/bus.ts';
import { runHandler } from '../bus/bus-status.ts';
import {
  assertRegisterKey,
  belowPrefix,
  decodeRegisterValue,
  encodeRegisterValue,
  type Register,
  type RegisterChange,
  type RegisterEntry,
} from './register.ts';

interface Stored {
  /** As a frame, so that nobody's later change of an object reaches another reader. */
  readonly bytes: Uint8Array;
  readonly revision: number;
}

interface Watcher {
  readonly below: string;
  readonly listener: (change: RegisterChange) => void;
}

/** A register that lives and dies with this process: for the memory bus and the local one. */
export function createMemoryRegister(): Register {
  return new MemoryRegister();
}

class MemoryRegister implements Register {
  readonly #entries = new Map<string, Stored>();
  readonly #watchers = new Set<Watcher>();
  #revision = 0;

  async get(key: string): Promise<RegisterEntry | undefined> {
    assertRegisterKey(key);
    const stored = this.#entries.get(key);
    return stored && toEntry(key, stored);
  }

  async create(key: string, value: unknown): Promise<number | undefined> {
    return this.#set(key, value, undefined);
  }

  async update(key: string, value: unknown, revision: number): Promise<number | undefined> {
    return this.#set(key, value, revision);
  }

  async delete(key: string, revision: number): Promise<boolean> {
    assertRegisterKey(key);
    if (this.#entries.get(key)?.revision !== revision) return false;
    this.#entries.delete(key);
    this.#revision += 1;
    this.#tell({ type: 'deleted', key, revision: this.#revision });
    return true;
  }

  async list(prefix: string): Promise<readonly RegisterEntry[]> {
    const below = belowPrefix(prefix);
    const found = [...this.#entries].filter(([key]) => key.startsWith(below));
    return found.map(([key, stored]) => toEntry(key, stored)).sort(byKey);
  }

  async watch(prefix: string, listener: (change: RegisterChange) => void): Promise<Subscription> {
    const present = await this.list(prefix);
    const watcher = { below: belowPrefix(prefix), listener };
    this.#watchers.add(watcher);
    for (const entry of present.toSorted((a, b) => a.revision - b.revision))
      this.#tellOne(watcher, { type: 'set', ...entry });
    return { unsubscribe: () => void this.#watchers.delete(watcher) };
  }

  async close(): Promise<void> {
    this.#watchers.clear();
  }

  #set(key: string, value: unknown, revision: number | undefined): number | undefined {
    assertRegisterKey(key);
    const bytes = encodeRegisterValue(key, value).slice();
    if (this.#entries.get(key)?.revision !== revision) return undefined;
    this.#revision += 1;
    const stored = { bytes, revision: this.#revision };
    this.#entries.set(key, stored);
    this.#tell({ type: 'set', ...toEntry(key, stored) });
    return stored.revision;
  }

  #tell(change: RegisterChange): void {
    for (const watcher of this.#watchers) {
      if (change.key.startsWith(watcher.below)) this.#tellOne(watcher, change);
    }
  }

  /** After the write has been answered, as with a register that is elsewhere. */
  #tellOne(watcher: Watcher, change: RegisterChange): void {
    queueMicrotask(() => {
      if (this.#watchers.has(watcher)) runHandler(watcher.listener, change);
    });
  }
}

function toEntry(key: string, { bytes, revision }: Stored): RegisterEntry {
  return { key, value: decodeRegisterValue(key, bytes), revision };
}

function byKey(a: RegisterEntry, b: RegisterEntry): number {
  return a.key < b.key ? -1 : 1;
}
