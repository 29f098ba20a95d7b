import { requestControl } from '../calls/control.ts';
import type { Endpoint } from '../calls/endpoint.ts';
import { type ClockTimer, repeat } from '../clock.ts';
import { subjects } from '../wire/address.ts';
import { encodeMessage } from '../wire/wire.ts';

/** Less than the silence after which a node counts as lost, so that losing it costs no more time. */
export const LEASE_MS: number = 4_000;
const RENEW_MS = 500;

/** A lessor's answer: under which id, and when it was asked for. */
export interface LeaseGrant {
  readonly id: string;
  readonly askedAt: number;
}

export interface LeasesOptions {
  readonly endpoint: Endpoint;
  /** Those whose word actors on this node need. */
  lessors(): ReadonlySet<string>;
  /**
   * Actors here under this lessor may act for so long from now, if they were started under that grant.
   * Others that were there at `askedAt` never may again.
   */
  renew(lessor: string, remainingMs: number, grant: LeaseGrant | undefined): void;
  /** How long this node's own names are still its own. */
  ownRemainingMs(): number;
  /** A word that nobody can guess. */
  createSecret(): string;
}

/**
 * Who supervises an actor on another node lets it act for some seconds at a time, and starts it
 * elsewhere only when the last of these have passed: whatever the network does, no two of them act.
 * The node counts from when it asked, the supervisor from when it answered, so no clocks are compared.
 * A node that was lost gets its word under a new id: whatever lived there before never acts again, and
 * nobody has to remember it.
 */
export class Leases {
  readonly #options: LeasesOptions;
  /** Until when each node may let our actors act. */
  readonly #granted = new Map<string, number>();
  /** Of each node that is not lost, under which id it gets our word. */
  readonly #ids = new Map<string, string>();
  readonly #asking = new Set<string>();
  readonly #renewing: ClockTimer;

  constructor(options: LeasesOptions) {
    this.#options = options;
    this.#renewing = repeat(options.endpoint.clock, RENEW_MS, () => this.#renewAll());
  }

  /** Asks at once, for an actor that is about to live here. */
  request(lessor: string): void {
    if (lessor === this.#options.endpoint.nodeId) this.#renewOwn();
    else void this.#ask(lessor);
  }

  /** What a node that asks is granted, in milliseconds; 0 while we can't vouch for our own. */
  grant(nodeId: string): number {
    const remainingMs = Math.max(0, Math.min(LEASE_MS, this.#options.ownRemainingMs()));
    const { clock } = this.#options.endpoint;
    this.#granted.set(nodeId, Math.max(this.#granted.get(nodeId) ?? 0, clock.now() + remainingMs));
    return remainingMs;
  }

  /** Under which id actors of ours on a node get our word. */
  idFor(nodeId: string): string {
    const known = this.#ids.get(nodeId) ?? this.#options.createSecret();
    this.#ids.set(nodeId, known);
    return known;
  }

  /** The node is lost: actors of ours that it still runs, should it come back, are to get no word. */
  revoke(nodeId: string): void {
    this.#ids.delete(nodeId);
  }

  /** How long our actors may still be acting on a node that no longer hears us. */
  outstandingMs(nodeId: string): number {
    const until = this.#granted.get(nodeId) ?? 0;
    return Math.max(0, until - this.#options.endpoint.clock.now());
  }

  close(): void {
    this.#renewing.cancel();
  }

  #renewAll(): void {
    const { clock, nodeId } = this.#options.endpoint;
    for (const [node, until] of this.#granted) if (until < clock.now()) this.#granted.delete(node);
    for (const lessor of this.#options.lessors()) {
      if (lessor === nodeId) this.#renewOwn();
      else void this.#ask(lessor);
    }
  }

  #renewOwn(): void {
    const { endpoint, ownRemainingMs, renew } = this.#options;
    renew(endpoint.nodeId, Math.min(LEASE_MS, ownRemainingMs()), undefined);
  }

  async #ask(lessor: string): Promise<void> {
    if (this.#asking.has(lessor)) return;
    this.#asking.add(lessor);
    const { endpoint, renew } = this.#options;
    const { namespace, nodeId, clock } = endpoint;
    const askedAt = clock.now();
    const parcel = { bytes: encodeMessage({ kind: 'lease', nodeId }) };
    try {
      const subject = subjects.node(namespace, lessor);
      const timeoutMs = LEASE_MS;
      const answer = await requestControl(endpoint, subject, 'leased', parcel, { timeoutMs });
      const remainingMs = answer.remainingMs - (clock.now() - askedAt);
      renew(lessor, remainingMs, { id: answer.grant, askedAt });
    } catch {
      // Not reached: the lease runs out, and is asked for again as long as the actors are here.
    } finally {
      this.#asking.delete(lessor);
    }
  }
}
