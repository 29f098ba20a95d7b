import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import type { Bus } from '../bus/bus.ts';
import { connectLocalBus } from '../bus/local-bus.ts';
import { HUB_FOLDER_PREFIX } from '../bus/local-hub.ts';

const NEIGHBOURS_MAX = 32;
const CONNECT_TIMEOUT_MS = 2_000;

/** The word by which processes of this host find a hub; part of the ids of its node's objects. */
export function hubWord(socketPath: string): string {
  return basename(dirname(socketPath)).slice(HUB_FOLDER_PREFIX.length);
}

/**
 * Connections to the hubs of other nodes of this host. A node is on this host if its hub's socket
 * is: only its owner can have made the folder, whose name is random.
 */
export class Neighbours {
  readonly #buses = new Map<string, Promise<Bus | undefined>>();

  /** Undefined when the hub is not on this host, or can't be reached. */
  async find(word: string): Promise<Bus | undefined> {
    let bus = this.#buses.get(word);
    if (bus === undefined) {
      bus = this.#connect(word);
      this.#buses.set(word, bus);
      const [oldest] = this.#buses.keys();
      if (this.#buses.size > NEIGHBOURS_MAX) this.#forget(oldest!);
    }
    return await bus;
  }

  close(): void {
    for (const word of this.#buses.keys()) this.#forget(word);
  }

  async #connect(word: string): Promise<Bus | undefined> {
    // The word comes from elsewhere; as one word of a path it leads nowhere else.
    if (!/^\w+$/.test(word)) return undefined;
    const socketPath = join(tmpdir(), `${HUB_FOLDER_PREFIX}${word}`, 'hub');
    try {
      const bus = await connectLocalBus({ socketPath, timeoutMs: CONNECT_TIMEOUT_MS });
      bus.onStatus(({ type }) => void (type === 'closed' && this.#buses.delete(word)));
      return bus;
    } catch {
      return undefined;
    }
  }

  #forget(word: string): void {
    const bus = this.#buses.get(word);
    this.#buses.delete(word);
    void bus?.then((connected) => connected?.close());
  }
}
