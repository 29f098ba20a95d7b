import type { AnyActorDefinition } from '../actor.ts';
import { requestControl } from '../calls/control.ts';
import type { Endpoint } from '../calls/endpoint.ts';
import { type ClockTimer, delay } from '../clock.ts';
import { subjects } from '../wire/address.ts';
import { GONE_MAX } from '../wire/node-messages.ts';
import { encodeMessage } from '../wire/wire.ts';
import type { Membership } from './membership.ts';
import type { Orphan } from './name-record.ts';
import type { Names } from './names.ts';
import { describeRefusals } from './placement.ts';
import type { Supervisor } from './supervisor.ts';

/** After joining, until all other nodes must have shown themselves. */
const JOIN_MS = 6_000;
const AGAIN_MS = 5_000;
/** Orphans that nobody else took, because the ones that could have died too. */
const LOOK_MS = 60_000;
/** Nodes of a group that look for a taker where none of the group can take an orphan, and takers told. */
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
  /** Those that others say are gone; the register has the last word. */
  readonly #toldGone = new Set<string>();
  /** Somebody wants a look at once: ends the pause. */
  #asked: AbortController = new AbortController();

  /** Orphans that no known node could take at the last look, and why. */
  #waiting: ReadonlyMap<string, string> = new Map();

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

  /** Somebody else knows of orphans, whose supervisors are `gone`, or whom nobody has begun. */
  lookEverywhere(gone: readonly string[] = []): void {
    this.#everywhere = true;
    for (const nodeId of gone) this.#toldGone.add(nodeId);
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
    this.#toldGone.clear();
    if (this.#ending.signal.aborted) return;
    this.#timer = clock.setTimeout(() => this.look(), LOOK_MS);
  }

  async #adoptAll(): Promise<void> {
    const { names, supervisor, membership, definitions } = this.#options;
    if (this.#everywhere) await membership.rollCall();
    const orphans = await names.orphans((nodeId) => {
      // One that was heard lately, by a roll call, may be gone since.
      if (this.#toldGone.has(nodeId)) return true;
      return this.#everywhere ? !membership.isAlive(nodeId) : membership.isMissing(nodeId);
    });
    const foreign: Orphan[] = [];
    const unplaced: Orphan[] = [];
    const waiting = new Map<string, string>();
    let adopted = 0;
    const adopting = orphans.map(async (orphan) => {
      const { address } = orphan.record;
      const definition = definitions.get(address.type);
      if (definition === undefined) {
        foreign.push(orphan);
        return;
      }
      const { nodes, refusals } = await supervisor.placesOf(orphan);
      if (nodes.length === 0) {
        unplaced.push(orphan);
        waiting.set(address.name, describeRefusals(refusals));
        return;
      }
      const former = await names.adopt(orphan);
      if (former.state === 'alive') {
        this.#toldGone.delete(orphan.record.node);
        this.#again = true;
      } else if (!this.#ending.signal.aborted) {
        supervisor.adopt(orphan, definition, former);
        adopted += 1;
      }
    });
    await Promise.all([...adopting, this.#tellTakers(foreign)]);
    this.#tellWaiting(waiting);
    // They may have to be beside one that was adopted.
    if (adopted > 0 && waiting.size > 0) this.#again = true;
    await this.#tellTakers(unplaced);
  }

  #tellWaiting(waiting: ReadonlyMap<string, string>): void {
    for (const [name, reasons] of waiting) {
      if (this.#waiting.has(name)) continue;
      this.#options.log(`actor ${name} waits for a node that can take it: ${reasons}`);
    }
    this.#waiting = waiting;
  }

  /**
   * Those that watch a supervisor may all be unable to take its actors, which other nodes can. Which of those watch it as
   * well isn't known: of two nodes that hear each other one may watch all, and the other a part.
   */
  async #tellTakers(left: readonly Orphan[]): Promise<void> {
    const { endpoint, membership, supervisor } = this.#options;
    if (left.length === 0) return;
    const group = membership.nodes().filter(({ nodeId }) => membership.isInGroup(nodeId));
    const ids = group.map(({ nodeId }) => nodeId).sort();
    if (ids.indexOf(endpoint.nodeId) >= TELLING_MAX) return;
    await membership.rollCall();
    const places = await Promise.all(left.map((orphan) => supervisor.placesOf(orphan)));
    const takers = places.flatMap(({ nodes }) =>
      nodes.filter(({ self }) => !self).slice(0, TELLING_MAX),
    );
    const gone = [...new Set(left.map(({ record }) => record.node))].slice(0, GONE_MAX);
    const parcel = { bytes: encodeMessage({ kind: 'look', gone }) };
    const told = [...new Set(takers.map(({ nodeId }) => nodeId))].map((nodeId) => {
      const subject = subjects.node(endpoint.namespace, nodeId);
      return requestControl(endpoint, subject, 'done', parcel, { timeoutMs: TELL_MS });
    });
    // One that doesn't answer is looked for again in a minute.
    await Promise.allSettled(told);
  }
}
