import type { Subscription } from '../bus/bus.ts';
import type { Endpoint } from '../calls/endpoint.ts';
import { GROUP_BITS, groupHash, subjects } from '../wire/address.ts';

/** A half of a group must have that part of the most that are watched to become a group itself. */
const HALF_LEAST = 0.3;
/** With fewer others than that part of the most a group joins its other half again. */
const GROUP_LEAST = 0.2;

export interface NodeWatchOptions {
  readonly endpoint: Endpoint;
  /** Of a group with more others only a half is watched. */
  readonly nodesMax: number;
  receive(subject: string, data: Uint8Array): void;
}

/**
 * Which nodes' heartbeats this one hears: all of a small namespace. Of a larger one those whose ids have the
 * first bits of their hash in common with this one's, as many bits as it takes to hear about as many nodes as
 * ever; and single ones beside them.
 */
export class NodeWatch {
  readonly #options: NodeWatchOptions;
  readonly #hash: number;
  readonly #single = new Map<string, Subscription>();
  #bits = 0;
  #groupSize = 0;
  #group: Subscription;

  constructor(options: NodeWatchOptions) {
    this.#options = options;
    this.#hash = groupHash(options.endpoint.nodeId);
    this.#group = this.#subscribe(0);
  }

  /** There may be nodes that are not heard. */
  get isPartial(): boolean {
    return this.#bits > 0;
  }

  /** The others in the group, when it was last fitted. */
  get groupSize(): number {
    return this.#groupSize;
  }

  isInGroup(nodeId: string): boolean {
    return this.#sharesBits(nodeId, this.#bits);
  }

  hears(nodeId: string): boolean {
    return this.isInGroup(nodeId) || this.#single.has(nodeId);
  }

  /** Hears these as well, and of others outside of the group no more. */
  follow(nodeIds: ReadonlySet<string>): void {
    for (const [nodeId, subscription] of this.#single) {
      if (nodeIds.has(nodeId) && !this.isInGroup(nodeId)) continue;
      subscription.unsubscribe();
      this.#single.delete(nodeId);
    }
    const { bus, namespace } = this.#options.endpoint;
    for (const nodeId of nodeIds) {
      if (this.hears(nodeId)) continue;
      const subject = subjects.heartbeat(namespace, nodeId);
      this.#single.set(nodeId, bus.subscribe(subject, this.#receive));
    }
  }

  /** Watches a smaller or a larger group, one step at a time, if `known` nodes make that fit better. */
  fit(known: Iterable<string>): void {
    const { nodesMax } = this.#options;
    let [others, half] = [0, 0];
    for (const nodeId of known) {
      if (this.isInGroup(nodeId)) others += 1;
      if (this.#sharesBits(nodeId, this.#bits + 1)) half += 1;
    }
    this.#groupSize = others;
    const isTooLarge = others > nodesMax && half >= nodesMax * HALF_LEAST;
    if (isTooLarge && this.#bits < GROUP_BITS) this.#watch(this.#bits + 1);
    else if (others < nodesMax * GROUP_LEAST && this.#bits > 0) this.#watch(this.#bits - 1);
  }

  close(): void {
    this.#group.unsubscribe();
    for (const subscription of this.#single.values()) subscription.unsubscribe();
    this.#single.clear();
  }

  readonly #receive = ({ subject, data }: { subject: string; data: Uint8Array }): void =>
    this.#options.receive(subject, data);

  #watch(bits: number): void {
    const before = this.#group;
    this.#group = this.#subscribe(bits);
    this.#bits = bits;
    before.unsubscribe();
  }

  #subscribe(bits: number): Subscription {
    const { bus, namespace, nodeId } = this.#options.endpoint;
    return bus.subscribe(subjects.heartbeatsNear(namespace, nodeId, bits), this.#receive);
  }

  #sharesBits(nodeId: string, bits: number): boolean {
    return bits === 0 || (groupHash(nodeId) ^ this.#hash) >>> (GROUP_BITS - bits) === 0;
  }
}
