import { crc32 } from 'node:zlib';
import { DeadlineError } from '../../errors.ts';
import type { Endpoint } from '../calls/endpoint.ts';
import { type ClockTimer, delay, repeat } from '../clock.ts';
import type { HeartbeatMessage } from '../wire/node-messages.ts';
import { Announcer, HEARTBEAT_MS, type NodeDescription } from './announcer.ts';
import { HeartbeatReader } from './heartbeat-reader.ts';
import { NodeWaiters } from './node-waiters.ts';
import { NodeWatch } from './node-watch.ts';
import type { NodeInfo } from './placement.ts';
import { RollCall } from './roll-call.ts';
import { SharedValues } from './shared-values.ts';

/** Of a namespace with more nodes each watches a group of about half as many, and those it has business with. */
const WATCHED_MAX = 100;
/** How often is looked who is silent. */
const TICK_MS = 500;
/** A heartbeat that is overdue by so much may be the first that is missing. */
const OVERDUE_MS = 300;
/** Of the announced time between two heartbeats: so long a silence is a death. */
const SILENT_PERIODS = 2.5;
/** A node silent for so long is dead, if we have business with it or it tells of itself every second. */
const NODE_SILENT_MS = 5_000;
/** After our own bus was away, others may come back later than we do. */
const RECONNECT_GRACE_MS = 10_000;
/** Ticks that come later than this mean that we were asleep, not the others. */
const STALL_MS = 2_500;
/** A node that is not watched is known for so long after it was heard. */
const UNWATCHED_MS = 6_000;
/** A node that asked for something is watched for so long. */
const MET_MS = 10_000;
const NODES_MAX = 4096;
const LOOK_MS = 100;

export interface MembershipOptions {
  readonly endpoint: Endpoint;
  /** False on a bus that no other node can join: nothing is sent then. */
  readonly shared: boolean;
  /** Default 100; of more nodes only a part is watched. */
  readonly watchedNodesMax?: number | undefined;
  /** This node as it is now. */
  describe(): NodeDescription;
  /**
   * Nodes that we have business with. Those that run actors of ours or own actors here are heard by their
   * leases every second.
   */
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
  /** Of its last heartbeat: an equal one needs no reading. */
  checksum: number | undefined;
  heardAt: number;
  /** How long its next heartbeat may take. */
  nextMs: number;
  /** Since when we have had business with it. */
  relatedSince: number | undefined;
  overdue: boolean;
}

/**
 * Who is there. Each node tells so every second, and is dead when silent for five. In a large namespace each
 * watches a part of the others: a group that is drawn by the hash of ids, and the nodes it has business
 * with. About all others it asks, by a roll call, when it has to know.
 */
export class Membership {
  readonly #options: MembershipOptions;
  readonly #others = new Map<string, KnownNode>();
  readonly #values = new SharedValues();
  /** The names of those that left or were lost, by id. */
  readonly #lost = new Map<string, string>();
  readonly #reader: HeartbeatReader;
  readonly #announcer: Announcer;
  readonly #waiters: NodeWaiters;
  /** Nodes that we have business with but have not heard, since when. */
  readonly #unheard = new Map<string, number>();
  /** Nodes that we were asked by or asked about, and until when they are to be watched. */
  readonly #met = new Map<string, number>();
  #watch: NodeWatch | undefined;
  #rollCall: RollCall | undefined;
  #ticking: ClockTimer | undefined;
  #judging: ClockTimer | undefined;
  #tickedAt = 0;
  /** Nobody is declared dead before this moment. */
  #graceUntil = 0;

  constructor(options: MembershipOptions) {
    this.#options = options;
    const { endpoint, shared, watchedNodesMax = WATCHED_MAX } = options;
    const { clock } = endpoint;
    this.#reader = new HeartbeatReader(options.onRefused);
    this.#announcer = new Announcer({
      endpoint,
      describe: options.describe,
      heardCount: () => (this.isPartial ? this.#watch!.groupSize : this.#others.size),
    });
    this.#waiters = new NodeWaiters(
      clock,
      () => this.nodes(),
      () => this.refusals,
    );
    if (!shared) return;
    this.#watch = new NodeWatch({
      endpoint,
      nodesMax: watchedNodesMax,
      receive: (subject, data) => this.#receive(subject, data),
    });
    this.#rollCall = new RollCall(endpoint, (nodeId) => this.#announcer.introduceTo(nodeId));
    this.#tickedAt = clock.now();
    this.#ticking = repeat(clock, TICK_MS, () => this.#tick());
    this.#announcer.announce(false);
  }

  /** This node first, then the others that are known by their ids: all of them unless `isPartial`. */
  nodes(): readonly NodeInfo[] {
    const others = [...this.#others.values()].map(({ info }) => info);
    others.sort((a, b) => (a.nodeId < b.nodeId ? -1 : 1));
    return [toNodeInfo(this.#options.describe(), true), ...others];
  }

  /** Only a part of the others is watched: after a roll call all are known for a while. */
  get isPartial(): boolean {
    return this.#watch?.isPartial ?? false;
  }

  /** Nodes that announced themselves with another protocol version, in words. */
  get refusals(): readonly string[] {
    return this.#reader.refusals;
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

  /** It would be heard if it were alive. */
  isMissing(nodeId: string): boolean {
    return !this.isAlive(nodeId) && (this.#watch?.hears(nodeId) ?? true);
  }

  /** Whether other nodes know of a node what this one does: they watch it as well. */
  isInGroup(nodeId: string): boolean {
    return this.#watch?.isInGroup(nodeId) ?? true;
  }

  /** Of those that know of the same nodes one does what is to be done once. */
  get isFirstOfGroup(): boolean {
    const { nodeId } = this.#options.endpoint;
    for (const id of this.#others.keys()) if (id < nodeId && this.isInGroup(id)) return false;
    return true;
  }

  /** Nothing was heard of it for longer than it said, or ever. */
  isSilent(nodeId: string): boolean {
    return this.#others.get(nodeId)?.overdue ?? true;
  }

  /** A node has shown that it lives, in another way than by its heartbeat. */
  hear(nodeId: string): void {
    const now = this.#options.endpoint.clock.now();
    const known = this.#others.get(nodeId);
    if (known === undefined) {
      if (this.#unheard.has(nodeId)) this.#unheard.set(nodeId, now);
      else this.#meet(nodeId);
      return;
    }
    known.heardAt = now;
    known.overdue = false;
  }

  /** A node tells of itself to us alone: an answer to our first heartbeat, or to a roll call. */
  greet(heartbeat: HeartbeatMessage): void {
    this.#note(heartbeat, undefined, false);
  }

  /** Asks all nodes who they are, if not all are watched, and resolves when they have had time to answer. */
  async rollCall(): Promise<void> {
    if (this.isPartial) await this.#rollCall?.call();
  }

  /** @throws DeadlineError naming who is there, or the signal's reason. */
  waitFor(
    count: number,
    options: { readonly timeoutMs: number; readonly signal?: AbortSignal },
  ): Promise<readonly NodeInfo[]> {
    const waiting = this.#waiters.waitFor(count, options);
    if (!this.#waiters.isEmpty) void this.rollCall();
    return waiting;
  }

  /** Tells the others at once what has changed about this node. */
  announce(): void {
    if (this.#ticking !== undefined && this.#options.endpoint.link.connected)
      this.#announcer.announce(false);
  }

  /** Resolves when the node is gone. @throws DeadlineError */
  async waitForEnd(nodeId: string, timeoutMs: number): Promise<void> {
    const { clock } = this.#options.endpoint;
    const giveUpAt = clock.now() + timeoutMs;
    while (this.isAlive(nodeId)) {
      if (clock.now() >= giveUpAt) {
        throw new DeadlineError(`node ${nodeId} has not left within ${timeoutMs} ms`);
      }
      this.#meet(nodeId);
      await delay(clock, LOOK_MS);
    }
  }

  /** Tells the others that this node leaves on purpose. */
  close(): void {
    if (this.#ticking === undefined) return;
    this.#ticking.cancel();
    this.#judging?.cancel();
    this.#ticking = undefined;
    this.#watch?.close();
    this.#rollCall?.close();
    if (this.#options.endpoint.link.connected) this.#announcer.announce(true);
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
    if (this.#announcer.isDue(TICK_MS)) this.#announcer.announce(false);
    this.#watch?.fit(this.#others.keys());
    this.#follow(now);
    if (!this.#waiters.isEmpty) void this.rollCall();
    this.#judge();
  }

  /** Watches whom we have business with, and forgets whom we don't watch. */
  #follow(now: number): void {
    const { related: relatedTo, endpoint } = this.#options;
    const related = relatedTo();
    const followed = new Set(related);
    followed.delete(endpoint.nodeId);
    for (const [nodeId, until] of this.#met) {
      if (until > now) followed.add(nodeId);
      else this.#met.delete(nodeId);
    }
    this.#watch?.follow(followed);
    for (const nodeId of this.#unheard.keys()) {
      if (!related.has(nodeId)) this.#unheard.delete(nodeId);
    }
    for (const nodeId of related) {
      if (this.isAlive(nodeId) || this.#unheard.has(nodeId) || this.#lost.has(nodeId)) continue;
      this.#unheard.set(nodeId, now);
    }
    for (const [nodeId, known] of this.#others) {
      if (!related.has(nodeId)) known.relatedSince = undefined;
      else known.relatedSince ??= now;
      if (!this.#watch?.hears(nodeId) && now - known.heardAt > UNWATCHED_MS) {
        this.#others.delete(nodeId);
      }
    }
  }

  #meet(nodeId: string): void {
    if (this.#met.size >= NODES_MAX && !this.#met.has(nodeId)) return;
    this.#met.set(nodeId, this.#options.endpoint.clock.now() + MET_MS);
  }

  /** Who is overdue, and who is lost. What is due before the next tick is done when it is due. */
  #judge(): void {
    const { clock, link } = this.#options.endpoint;
    const now = clock.now();
    if (now < this.#graceUntil || !link.connected || this.#ticking === undefined) return;
    let againMs = TICK_MS;
    for (const [nodeId, since] of this.#unheard) {
      const silentMs = now - Math.max(since, link.connectedSince);
      if (silentMs >= NODE_SILENT_MS) this.#lose(unknownNode(nodeId), 'was never heard', 'lost');
    }
    for (const known of [...this.#others.values()]) {
      const { info, relatedSince } = known;
      if (!this.#watch?.hears(info.nodeId)) continue;
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

  #receive(subject: string, data: Uint8Array): void {
    const checksum = crc32(data);
    const known = this.#others.get(subject.slice(subject.lastIndexOf('.') + 1));
    if (known?.checksum === checksum) {
      known.heardAt = this.#options.endpoint.clock.now();
      known.overdue = false;
      return;
    }
    const heartbeat = this.#reader.read(data);
    if (heartbeat !== undefined) this.#note(heartbeat, checksum, true);
  }

  #note(heartbeat: HeartbeatMessage, checksum: number | undefined, answer: boolean): void {
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
      Object.assign(known, { info, checksum, heardAt, nextMs, overdue: false });
      return;
    }
    if (this.#others.size >= NODES_MAX) return;
    const node = { info, checksum, heardAt, nextMs, relatedSince: undefined, overdue: false };
    this.#others.set(nodeId, node);
    this.#unheard.delete(nodeId);
    // The newcomer should not have to wait to learn of us; nobody else is told again.
    if (answer) this.#announcer.introduceTo(nodeId);
    if (this.#watch?.hears(nodeId)) this.#options.onJoined(info);
    if (this.#lost.delete(nodeId)) this.#options.onReturned(nodeId);
    this.#waiters.noteCount(this.#others.size + 1);
    if (answer) this.#shrink();
  }

  /** A newcomer hears everybody at first: it must not have to know them all. */
  #shrink(): void {
    const { watchedNodesMax = WATCHED_MAX } = this.#options;
    if (this.#others.size <= watchedNodesMax) return;
    const watch = this.#watch!;
    watch.fit(this.#others.keys());
    // One that an actor was just sent to is not followed before the next tick, and is to get our word all the same.
    const related = this.#options.related();
    for (const nodeId of this.#others.keys()) {
      if (!related.has(nodeId) && !watch.hears(nodeId)) this.#others.delete(nodeId);
    }
  }

  /** What most nodes have in common is kept once. */
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
    this.#unheard.delete(info.nodeId);
    if (this.#lost.size < NODES_MAX) this.#lost.set(info.nodeId, info.nodeName);
    this.#options.onLost(info, why, how);
  }
}

function toNodeInfo(node: NodeDescription, self: boolean): NodeInfo {
  const { nodeId, nodeName, pid, labels, resources, free, actorTypes, actors, draining } = node;
  return { nodeId, nodeName, pid, self, labels, resources, free, actorTypes, actors, draining };
}

/** A node of which nothing is known but that there is business with it. */
function unknownNode(nodeId: string): NodeInfo {
  const nothing = { cpu: 0, memoryBytes: 0 };
  const known = { nodeId, nodeName: nodeId, pid: 0, labels: {}, actorTypes: [], actors: 0 };
  return { ...known, self: false, resources: nothing, free: nothing, draining: false };
}
