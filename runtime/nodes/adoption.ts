import type { AnyActorDefinition } from '../actor.ts';
import { requestControl } from '../calls/control.ts';
import type { Endpoint } from '../calls/endpoint.ts';
import { type ClockTimer, delay } from '../clock.ts';
import { subjects } from '../wire/address.ts';
import { encodeMessage } from '../wire/wire.ts';
import type { Membership } from './membership.ts';
import type { Orphan } from './name-record.ts';
import type { Names } from './names.ts';
import type { Supervisor } from './supervisor.ts';

/** After joining, until all other nodes must have shown themselves. */
const JOIN_MS = 6_000;
const AGAIN_MS = 5_000;
/** Orphans that nobody else took, because the ones that could have died too. */
const LOOK_MS = 60_000;
/** Nodes of a group that look for a taker where none of the group has an orphan's type, and takers told. */
const TELLING_MAX = 3;
const TELL_MS = 3_000;

export interface AdoptionOptions {
  readonly endpoint: Endpoint;
  readonly names: Names;
  readonly supervisor: Supervisor;
  readonly membership: Membership;
  /** Only actors of these types can go on here. */
  readonly definitions: ReadonlyMap<string, AnyActorDefinition>;
  log(message: string): void;
}

/** Takes up detached actors whose supervisor is gone; of all nodes that try, one succeeds. */
export class Adoption {
  readonly #options: AdoptionOptions;
  readonly #ending = new AbortController();
  #timer: ClockTimer;
  #looking = false;
  /** What was found last is to be looked for again after a while. */
  #again = false;
  /** The supervisor may be one that this node doesn't watch. */
  #everywhere = false;
  /** Somebody wants a look at once: ends the pause. */
  #asked: AbortController = new AbortController();

  constructor(options: AdoptionOptions) {
    this.#options = options;
    this.#timer = options.endpoint.clock.setTimeout(() => this.look(), JOIN_MS);
  }

  /** Looks for orphans now: a node that is watched is gone. */
  look(): void {
    if (this.#ending.signal.aborted) return;
    this.#asked.abort();
    if (!this.#looking) void this.#lookAll();
  }

  /** Somebody else knows of orphans. */
  lookEverywhere(): void {
    this.#everywhere = true;
    this.look();
  }

  close(): void {
    this.#ending.abort();
    this.#asked.abort();
    this.#timer.cancel();
  }

  async #lookAll(): Promise<void> {
    const { clock } = this.#options.endpoint;
    this.#looking = true;
    this.#timer.cancel();
    do {
      this.#asked = new AbortController();
      this.#again = false;
      try {
        await this.#adoptAll();
      } catch (error) {
        this.#options.log(`looking for orphaned actors failed: ${(error as Error).message}`);
        this.#again = true;
      }
      const { signal } = this.#asked;
      if (this.#again) await delay(clock, AGAIN_MS, signal).catch(() => {});
    } while ((this.#again || this.#asked.signal.aborted) && !this.#ending.signal.aborted);
    this.#looking = false;
    this.#everywhere = false;
    if (this.#ending.signal.aborted) return;
    this.#timer = clock.setTimeout(() => this.look(), LOOK_MS);
  }

  async #adoptAll(): Promise<void> {
    const { names, supervisor, membership, definitions } = this.#options;
    if (this.#everywhere) await membership.rollCall();
    const orphans = await names.orphans((nodeId) =>
      this.#everywhere ? !membership.isAlive(nodeId) : membership.isMissing(nodeId),
    );
    const foreign: Orphan[] = [];
    const adopting = orphans.map(async (orphan) => {
      const definition = definitions.get(orphan.record.address.type);
      if (definition === undefined) {
        foreign.push(orphan);
        return;
      }
      const former = await names.adopt(orphan);
      if (former.state === 'alive') this.#again = true;
      else if (!this.#ending.signal.aborted) supervisor.adopt(orphan, definition, former);
    });
    await Promise.all([...adopting, this.#tellTakers(foreign)]);
  }

  /** Those that watch a supervisor may all be without its actors' types, which other nodes have. */
  async #tellTakers(foreign: readonly Orphan[]): Promise<void> {
    const { endpoint, membership } = this.#options;
    if (foreign.length === 0 || !membership.isPartial) return;
    const group = membership.nodes().filter(({ nodeId }) => membership.isInGroup(nodeId));
    const ids = group.map(({ nodeId }) => nodeId).sort();
    if (ids.indexOf(endpoint.nodeId) >= TELLING_MAX) return;
    await membership.rollCall();
    const types = new Set(foreign.map(({ record }) => record.address.type));
    const takers = [...types].flatMap((type) => {
      const able = membership.nodes().filter(({ actorTypes }) => actorTypes.includes(type));
      return able.some(({ nodeId }) => ids.includes(nodeId)) ? [] : able.slice(0, TELLING_MAX);
    });
    const parcel = { bytes: encodeMessage({ kind: 'look' }) };
    const told = [...new Set(takers.map(({ nodeId }) => nodeId))].map((nodeId) => {
      const subject = subjects.node(endpoint.namespace, nodeId);
      return requestControl(endpoint, subject, 'done', parcel, { timeoutMs: TELL_MS });
    });
    // One that doesn't answer is looked for again in a minute.
    await Promise.allSettled(told);
  }
}
