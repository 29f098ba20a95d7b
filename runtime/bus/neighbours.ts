import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import type { Bus } from './bus.ts';
import { connectLocalBus } from './local-bus.ts';
import { HUB_FOLDER_PREFIX } from './local-hub.ts';

const NEIGHBOURS_MAX = 32;
const CONNECT_TIMEOUT_MS = 2_000;
/** A process that is just ending may still accept the first. */
const CONNECT_ATTEMPTS = 2;
const DEAD_MAX = 1_024;

/** A process's connection to the hub of its own node. */
export interface HomeHub {
  readonly bus: Bus;
  readonly socketPath: string;
}

/** The word by which processes of this host find a hub; part of the ids of its node's objects. */
export function hubWord(socketPath: string): string {
  return basename(dirname(socketPath)).slice(HUB_FOLDER_PREFIX.length);
}

/**
 * The ways from process to process of this host that need no server: the hub of this process's node
 * and those of other nodes here. A node is on this host if its hub's socket
 * is: only its owner can have made the folder, whose name is random.
 */
export class Neighbours {
  #home: { readonly bus: Bus; readonly word: string } | undefined;
  /** To other nodes. */
  readonly #buses = new Map<string, Promise<Bus | undefined>>();
  /** Hubs of this host whose process has ended without removing its socket. */
  readonly #dead = new Set<string>();

  constructor(home: HomeHub | undefined) {
    this.#home = home && { bus: home.bus, word: hubWord(home.socketPath) };
    home?.bus.onStatus(({ type }) => {
      if (type === 'closed') this.#home = undefined;
    });
  }

  /** The hub of this process's own node. */
  get home(): { readonly bus: Bus; readonly word: string } | undefined {
    return this.#home;
  }

  /** Undefined when the hub is not on this host, or can't be reached. */
  async find(word: string): Promise<Bus | undefined> {
    if (word === this.#home?.word) return this.#home.bus;
    let bus = this.#buses.get(word);
    if (bus === undefined) {
      bus = this.#connect(word);
      this.#buses.set(word, bus);
      const [oldest] = this.#buses.keys();
      if (this.#buses.size > NEIGHBOURS_MAX) this.#forget(oldest!);
    }
    return await bus;
  }

  /** Whether `find` has found that the node with this hub was of this host and has ended. */
  isDead(word: string): boolean {
    return this.#dead.has(word);
  }

  close(): void {
    for (const word of this.#buses.keys()) this.#forget(word);
  }

  async #connect(word: string): Promise<Bus | undefined> {
    // The word comes from elsewhere; as one word of a path it leads nowhere else.
    if (!/^\w+$/.test(word)) return undefined;
    const socketPath = join(tmpdir(), `${HUB_FOLDER_PREFIX}${word}`, 'hub');
    for (let attempt = 1; attempt <= CONNECT_ATTEMPTS; attempt += 1) {
      try {
        const bus = await connectLocalBus({ socketPath, timeoutMs: CONNECT_TIMEOUT_MS });
        bus.onStatus(({ type }) => void (type === 'closed' && this.#buses.delete(word)));
        return bus;
      } catch (error) {
        if (isCausedBy(error, 'ENOENT')) return undefined;
        if (!isCausedBy(error, 'ECONNREFUSED')) continue;
        if (this.#dead.size < DEAD_MAX) this.#dead.add(word);
        return undefined;
      }
    }
    return undefined;
  }

  #forget(word: string): void {
    const bus = this.#buses.get(word);
    this.#buses.delete(word);
    void bus?.then((connected) => connected?.close());
  }
}

function isCausedBy(error: unknown, code: string): boolean {
  if (!(error instanceof Error)) return false;
  return (error as NodeJS.ErrnoException).code === code || isCausedBy(error.cause, code);
}
