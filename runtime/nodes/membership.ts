import * as v from 'valibot';
import { DeadlineError } from '../../errors.ts';
import type { Subscription } from '../bus/bus.ts';
import type { Endpoint } from '../calls/endpoint.ts';
import { type ClockTimer, delay, repeat } from '../clock.ts';
import { subjects } from '../wire/address.ts';
import { decodeFrame } from '../wire/frame.ts';
import type { HeartbeatMessage } from '../wire/node-messages.ts';
import { decodeMessage, encodeMessage, PROTOCOL_VERSION } from '../wire/wire.ts';
import type { NodeInfo } from './placement.ts';
import { SharedValues } from './shared-values.ts';

export const HEARTBEAT_MS = 1_000;
/**
 * With more nodes than this each tells less often, so that what a node hears in a second stays the same.
 */
const HEARD_PER_SECOND_MAX = 50;
/** How often is looked who is silent. */
const TICK_MS = 500;
/** A heartbeat that is overdue by so much may be the first that is missing. */
const OVERDUE_MS = 300;
/** Of the announced time between two heartbeats: so long a silence is a death. */
const SILENT_PERIODS = 2.5;
/** A node silent for so long is dead, if we have business with it or it tells of itself every second. */
export const NODE_SILENT_MS = 5_000;
/** After our own bus was away, others may come back later than we do. */
const RECONNECT_GRACE_MS = 10_000;
/** Ticks that come later than this mean that we were asleep, not the others. */
const STALL_MS = 2_500;
const NODES_MAX = 4096;
const LOOK_MS = 100;

/** What a heartbeat tells of its node. */
type NodeDescription = Omit<HeartbeatMessage, 'kind' | 'protocol' | 'leaving' | 'nextMs'>;

export interface MembershipOptions {
  readonly endpoint: Endpoint;
  /** False on a bus that no other node can join: nothing is sent then. */
  readonly shared: boolean;
  /** This node as it is now. */
  describe(): NodeDescription;
  /** Nodes that run actors of ours or own actors here: those are heard by their leases every second. */
  related(): ReadonlySet<string>;
  onJoined(node: NodeInfo): void;
  /** `how` it ended: it left on purpose, or was silent for too long, as `why` says. */
  onLost(node: NodeInfo, why: string, how: 'left' | 'lost'): void;
  /** A node's heartbeat is overdue; that alone means little. */
  onOverdue(nodeId: string): void;
  /** A node speaks another protocol version. */
  onRefused(why: string): void;
  /** A node that was lost shows itself again. */
  onReturned(nodeId: string): void;
}

interface KnownNode {
  info: NodeInfo;
  heardAt: number;
  /** How long its next heartbeat may take. */
  nextMs: number;
  /** Since when we have had business with it. */
  relatedSince: number | undefined;
  overdue: boolean;
}

interface Waiter {
  readonly count: number;
  resolve(): void;
}

/** Who is there: each node tells so every second, and is dead when silent for five. */
export class Membership {
  readonly #options: MembershipOptions;
  readonly #others = new Map<string, KnownNode>();
  readonly #values = new SharedValues();
  /** The names of those that left or were lost, by id. */
  readonly #lost = new Map<string, string>();
  readonly #refused = new Map<string, string>();
  readonly #waiters = new Set<Waiter>();
  #subscription: Subscription | undefined;
  #ticking: ClockTimer | undefined;
  #judging: ClockTimer | undefined;
  #tickedAt = 0;
  #announcedAt = 0;
  #announcedDraining = false;
  /** Nobody is declared dead before this moment. */
  #graceUntil = 0;

  constructor(options: MembershipOptions) {
    this.#options = options;
    if (!options.shared) return;
    const { bus, clock, namespace } = options.endpoint;
    this.#subscription = bus.subscribe(subjects.heartbeat(namespace), ({ data }) =>
      this.#receive(data),
    );
    this.#tickedAt = clock.now();
    this.#ticking = repeat(clock, TICK_MS, () => this.#tick());
    this.#announce(false);
  }

  /** This node first, then the others by their ids. */
  nodes(): readonly NodeInfo[] {
    const others = [...this.#others.values()].map(({ info }) => info);
    others.sort((a, b) => (a.nodeId < b.nodeId ? -1 : 1));
    return [toNodeInfo(this.#options.describe(), true), ...others];
  }

  /** Nodes that announced themselves with another protocol version, in words. */
  get refusals(): readonly string[] {
    return [...this.#refused.values()];
  }

  /** Also of a node that is gone; the id of one that was never seen. */
  nameOf(nodeId: string): string {
    const { endpoint, describe } = this.#options;
    if (nodeId === endpoint.nodeId) return describe().nodeName;
    return this.#others.get(nodeId)?.info.nodeName ?? this.#lost.get(nodeId) ?? nodeId;
  }

  isAlive(nodeId: string): boolean {
    return nodeId === this.#options.endpoint.nodeId || this.#others.has(nodeId);
  }

  /** Nothing was heard of it for longer than it said, or ever. */
  isSilent(nodeId: string): boolean {
    return this.#others.get(nodeId)?.overdue ?? true;
  }

  /** A node has shown that it lives, in another way than by its heartbeat. */
  hear(nodeId: string): void {
    const known = this.#others.get(nodeId);
    if (known === undefined) return;
    known.heardAt = this.#options.endpoint.clock.now();
    known.overdue = false;
  }

  /** A node answers our first heartbeat with its own, to us alone. */
  greet(heartbeat: HeartbeatMessage): void {
    this.#note(heartbeat, false);
  }

  /** @throws DeadlineError naming who is there, or the signal's reason. */
  waitFor(
    count: number,
    { timeoutMs, signal }: { readonly timeoutMs: number; readonly signal?: AbortSignal },
  ): Promise<readonly NodeInfo[]> {
    if (this.nodes().length >= count) return Promise.resolve(this.nodes());
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(signal.reason);
        return;
      }
      const finish = (): void => {
        this.#waiters.delete(waiter);
        timer.cancel();
        signal?.removeEventListener('abort', onAbort);
      };
      const fail = (error: unknown): void => {
        finish();
        reject(error);
      };
      const onAbort = (): void => fail(signal?.reason);
      const waiter: Waiter = {
        count,
        resolve: () => {
          finish();
          resolve(this.nodes());
        },
      };
      const timer = this.#options.endpoint.clock.setTimeout(() => {
        const names = this.nodes().map(({ nodeName }) => nodeName);
        const refused = this.refusals.length === 0 ? '' : `; refused: ${this.refusals.join('; ')}`;
        const text = `${count} nodes wanted, after ${timeoutMs} ms there are ${names.length}`;
        fail(new DeadlineError(`${text}: ${names.join(', ')}${refused}`));
      }, timeoutMs);
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#waiters.add(waiter);
    });
  }

  /** Tells the others at once what has changed about this node. */
  announce(): void {
    if (this.#ticking !== undefined && this.#options.endpoint.link.connected) this.#announce(false);
  }

  /** Resolves when the node is gone. @throws DeadlineError */
  async waitForEnd(nodeId: string, timeoutMs: number): Promise<void> {
    const { clock } = this.#options.endpoint;
    const giveUpAt = clock.now() + timeoutMs;
    while (this.isAlive(nodeId)) {
      if (clock.now() >= giveUpAt) {
        throw new DeadlineError(`node ${nodeId} has not left within ${timeoutMs} ms`);
      }
      await delay(clock, LOOK_MS);
    }
  }

  /** Tells the others that this node leaves on purpose. */
  close(): void {
    if (this.#ticking === undefined) return;
    this.#ticking.cancel();
    this.#judging?.cancel();
    this.#ticking = undefined;
    this.#subscription?.unsubscribe();
    if (this.#options.endpoint.link.connected) this.#announce(true);
  }

  #tick(): void {
    const { clock, link } = this.#options.endpoint;
    const now = clock.now();
    // While we slept or were cut off, others could not reach us: that is no silence of theirs.
    const stalled = now - this.#tickedAt > STALL_MS;
    this.#tickedAt = now;
    if (stalled) this.#graceUntil = Math.max(this.#graceUntil, now + NODE_SILENT_MS);
    if (!link.connected) {
      this.#graceUntil = now + RECONNECT_GRACE_MS;
      return;
    }
    if (this.#isAnnouncementDue(now)) this.#announce(false);
    const related = this.#options.related();
    for (const known of this.#others.values()) {
      if (!related.has(known.info.nodeId)) known.relatedSince = undefined;
      else known.relatedSince ??= now;
    }
    this.#judge();
  }

  /** Who is overdue, and who is lost. What is due before the next tick is done when it is due. */
  #judge(): void {
    const { clock, link } = this.#options.endpoint;
    const now = clock.now();
    if (now < this.#graceUntil || !link.connected || this.#ticking === undefined) return;
    let againMs = TICK_MS;
    for (const known of [...this.#others.values()]) {
      const { info, relatedSince } = known;
      const silentMs = now - Math.max(known.heardAt, link.connectedSince);
      const periodMs = relatedSince === undefined ? known.nextMs : HEARTBEAT_MS;
      const overdueMs = silentMs - periodMs - OVERDUE_MS;
      const [since, allowedMs] =
        relatedSince === undefined
          ? [Number.NEGATIVE_INFINITY, Math.max(NODE_SILENT_MS, periodMs * SILENT_PERIODS)]
          : [relatedSince, NODE_SILENT_MS];
      const lostMs = Math.min(silentMs, now - since) - allowedMs;
      if (lostMs >= 0) {
        this.#lose(info, `was silent for ${Math.round(silentMs / 1000)} s`, 'lost');
        continue;
      }
      if (overdueMs >= 0 && !known.overdue) {
        known.overdue = true;
        this.#options.onOverdue(info.nodeId);
      }
      const isNearlyOverdue = overdueMs < 0 && overdueMs >= -OVERDUE_MS;
      againMs = Math.min(againMs, -lostMs, isNearlyOverdue ? -overdueMs : TICK_MS);
    }
    this.#judging?.cancel();
    if (againMs < TICK_MS) this.#judging = clock.setTimeout(() => this.#judge(), againMs);
  }

  /** At its time, and at once when others should know that we are back or take no more actors. */
  #isAnnouncementDue(now: number): boolean {
    const { link } = this.#options.endpoint;
    return (
      // Ticks are never quite a period apart.
      now - this.#announcedAt >= this.#periodMs - TICK_MS / 2 ||
      link.connectedSince > this.#announcedAt ||
      this.#options.describe().draining !== this.#announcedDraining
    );
  }

  get #periodMs(): number {
    return Math.max(HEARTBEAT_MS, (this.#others.size * 1_000) / HEARD_PER_SECOND_MAX);
  }

  #announce(leaving: boolean): void {
    const { endpoint } = this.#options;
    const heartbeat = this.#heartbeat(leaving);
    this.#announcedAt = endpoint.clock.now();
    this.#announcedDraining = heartbeat.draining;
    endpoint.bus.publish(subjects.heartbeat(endpoint.namespace), encodeMessage(heartbeat));
  }

  #heartbeat(leaving: boolean): HeartbeatMessage {
    const described = this.#options.describe();
    const nextMs = this.#periodMs;
    return { kind: 'heartbeat', protocol: PROTOCOL_VERSION, ...described, leaving, nextMs };
  }

  #receive(data: Uint8Array): void {
    const heartbeat = this.#read(data);
    if (heartbeat !== undefined) this.#note(heartbeat, true);
  }

  #note(heartbeat: HeartbeatMessage, answer: boolean): void {
    const { endpoint } = this.#options;
    const { nodeId, nextMs } = heartbeat;
    if (nodeId === endpoint.nodeId) return;
    const info = this.#toInfo(heartbeat);
    const known = this.#others.get(nodeId);
    if (heartbeat.leaving) {
      if (known) this.#lose(info, 'left', 'left');
      return;
    }
    const heardAt = endpoint.clock.now();
    if (known !== undefined) {
      known.info = info;
      known.heardAt = heardAt;
      known.nextMs = nextMs;
      known.overdue = false;
      return;
    }
    if (this.#others.size >= NODES_MAX) return;
    this.#others.set(nodeId, { info, heardAt, nextMs, relatedSince: undefined, overdue: false });
    // The newcomer should not have to wait to learn of us; nobody else is told again.
    if (answer) {
      const subject = subjects.node(endpoint.namespace, nodeId);
      endpoint.bus.publish(subject, encodeMessage(this.#heartbeat(false)));
    }
    this.#options.onJoined(info);
    if (this.#lost.delete(nodeId)) this.#options.onReturned(nodeId);
    const count = this.#others.size + 1;
    for (const waiter of [...this.#waiters]) if (waiter.count <= count) waiter.resolve();
  }

  /** Every node knows all others, so what most of them have in common is kept once. */
  #toInfo(heartbeat: HeartbeatMessage): NodeInfo {
    const { labels, resources, free, actorTypes } = heartbeat;
    const shared = {
      labels: this.#values.share(labels),
      resources: this.#values.share(resources),
      free: this.#values.share(free),
      actorTypes: this.#values.share(actorTypes),
    };
    return toNodeInfo({ ...heartbeat, ...shared }, false);
  }

  #lose(info: NodeInfo, why: string, how: 'left' | 'lost'): void {
    this.#others.delete(info.nodeId);
    if (this.#lost.size < NODES_MAX) this.#lost.set(info.nodeId, info.nodeName);
    this.#options.onLost(info, why, how);
  }

  #read(data: Uint8Array): HeartbeatMessage | undefined {
    try {
      const { protocol, nodeId, nodeName } = v.parse(greetingSchema, decodeFrame(data));
      if (protocol === PROTOCOL_VERSION) {
        const message = decodeMessage(data);
        return message.kind === 'heartbeat' ? message : undefined;
      }
      if (!this.#refused.has(nodeId) && this.#refused.size < NODES_MAX) {
        const text =
          `node ${nodeName} (${nodeId}) speaks protocol version ${protocol}, this one ` +
          `${PROTOCOL_VERSION}: install the same codistill on both`;
        this.#refused.set(nodeId, text);
        this.#options.onRefused(text);
      }
    } catch {
      // Not a heartbeat at all.
    }
    return undefined;
  }
}

/** What every version of the protocol starts its heartbeats with. */
const greetingSchema = v.object({
  kind: v.literal('heartbeat'),
  protocol: v.number(),
  nodeId: v.string(),
  nodeName: v.string(),
});

function toNodeInfo(node: NodeDescription, self: boolean) {
  const { nodeId, nodeName, pid, labels, resources, free, actorTypes, actors, draining } = node;
  return { nodeId, nodeName, pid, self, labels, resources, free, actorTypes, actors, draining };
}
