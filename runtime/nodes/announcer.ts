import type { Endpoint } from '../calls/endpoint.ts';
import { subjects } from '../wire/address.ts';
import type { HeartbeatMessage } from '../wire/node-messages.ts';
import { encodeMessage, PROTOCOL_VERSION } from '../wire/wire.ts';

export const HEARTBEAT_MS = 1_000;
/**
 * With more nodes to be heard than this each tells less often, so that what a node hears in a second stays the same.
 */
const HEARD_PER_SECOND_MAX = 50;

/** What a heartbeat tells of its node. */
export type NodeDescription = Omit<HeartbeatMessage, 'kind' | 'protocol' | 'leaving' | 'nextMs'>;

export interface AnnouncerOptions {
  readonly endpoint: Endpoint;
  /** This node as it is now. */
  describe(): NodeDescription;
  /** How many others tell of themselves where this node hears it. */
  heardCount(): number;
}

/** Tells the other nodes of this one. */
export class Announcer {
  readonly #options: AnnouncerOptions;
  #announcedAt = 0;
  #announcedDraining = false;

  constructor(options: AnnouncerOptions) {
    this.#options = options;
  }

  /** At its time, and at once when others should know that we are back or take no more actors; looked at every `tickMs`. */
  isDue(tickMs: number): boolean {
    const { clock, link } = this.#options.endpoint;
    return (
      // Ticks are never quite a period apart.
      clock.now() - this.#announcedAt >= this.#periodMs - tickMs / 2 ||
      link.connectedSince > this.#announcedAt ||
      this.#options.describe().draining !== this.#announcedDraining
    );
  }

  /** To all who watch this node. */
  announce(leaving: boolean): void {
    const { bus, clock, namespace, nodeId } = this.#options.endpoint;
    const heartbeat = this.#heartbeat(leaving);
    this.#announcedAt = clock.now();
    this.#announcedDraining = heartbeat.draining;
    bus.publish(subjects.heartbeat(namespace, nodeId), encodeMessage(heartbeat));
  }

  /** To one node alone. */
  introduceTo(nodeId: string): void {
    const { endpoint } = this.#options;
    if (nodeId === endpoint.nodeId || !endpoint.link.connected) return;
    const subject = subjects.node(endpoint.namespace, nodeId);
    endpoint.bus.publish(subject, encodeMessage(this.#heartbeat(false)));
  }

  get #periodMs(): number {
    const heard = this.#options.heardCount();
    return Math.max(HEARTBEAT_MS, (heard * 1_000) / HEARD_PER_SECOND_MAX);
  }

  #heartbeat(leaving: boolean): HeartbeatMessage {
    const described = this.#options.describe();
    const nextMs = this.#periodMs;
    return { kind: 'heartbeat', protocol: PROTOCOL_VERSION, ...described, leaving, nextMs };
  }
}
