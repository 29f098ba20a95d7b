import * as v from 'valibot';
import type { ActorAddress } from '../calls/handle.ts';
import { actorAddressSchema } from './address.ts';
import { type Resources, resourcesSchema } from './resources.ts';
import { type RuntimeEvent, runtimeEventSchema } from './runtime-event.ts';
import { type WireError, wireErrorSchema } from './wire-error.ts';
import { type Carried, carried, count, durationMs, texts } from './wire-fields.ts';

// What a node is asked and tells, besides the lives of its actors.

/** System lane, as bus requests: answered beside the mailbox, however full that is. */
export interface PingMessage {
  readonly kind: 'ping';
}
export interface PongMessage {
  readonly kind: 'pong';
  readonly owner: string;
}
export interface DoneMessage {
  readonly kind: 'done';
}
export interface FailedMessage {
  readonly kind: 'failed';
  readonly error: WireError;
}
/** A node's sign of life. A reader of another protocol version can rely on the first four fields only. */
export interface HeartbeatMessage {
  readonly kind: 'heartbeat';
  readonly protocol: number;
  readonly nodeId: string;
  readonly nodeName: string;
  readonly pid: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly resources: Resources;
  readonly free: Resources;
  readonly actorTypes: readonly string[];
  readonly actors: number;
  /** It takes no new actors: it is about to leave. */
  readonly draining: boolean;
  /** Set in the last one of a node that leaves on purpose. */
  readonly leaving: boolean;
  /** Until its next one, at most: the more nodes there are, the rarer each of them tells. */
  readonly nextMs: number;
}
/** A node to all others: who is there? Each answers with its heartbeat. */
export interface RollCallMessage {
  readonly kind: 'roll-call';
  readonly nodeId: string;
}
/** A node to the supervisor of actors there: may they go on acting? */
export interface LeaseMessage {
  readonly kind: 'lease';
  readonly nodeId: string;
}
/** For so long from when the node asked. */
export interface LeasedMessage {
  readonly kind: 'leased';
  readonly remainingMs: number;
  /** Only for actors that were started under this id. */
  readonly grant: string;
}
/** Anybody to a node: let your actors finish, move them elsewhere and leave. */
export interface LeaveMessage {
  readonly kind: 'leave';
  readonly timeoutMs: number;
}
/** Of a longer list the rest is found in a minute, by whoever looks then. */
export const GONE_MAX = 256;
/** Anybody to a node: there is a detached actor to be taken up. */
export interface LookMessage {
  readonly kind: 'look';
  /** Supervisors that are gone, as who watched them says. */
  readonly gone?: readonly string[];
}
/** Anybody to a host: has any actor this name in the register? */
export interface LookupMessage {
  readonly kind: 'lookup';
  readonly name: string;
}
export interface FoundMessage {
  readonly kind: 'found';
  /** Absent when nobody has the name. */
  readonly address?: ActorAddress;
}
/** Anybody to a node, or a node to its child: what do you run? With so many past events, at most. */
export interface InspectMessage {
  readonly kind: 'inspect';
  readonly eventsMax: number;
  /** The node is to name all others, not only those that it watches. */
  readonly everybody?: boolean;
}
/** `value` is a node's `NodeInspection`, or a child's `ActorFigures`. */
export interface InspectionMessage extends Carried {
  readonly kind: 'inspection';
}
/**
 * A method's name, when it began (ms before the message was sent), how long it ran, whether it threw, and of a
 * stream how many items it brought.
 */
export type RecordedCall = readonly [
  method: string,
  agoMs: number,
  ranMs: number,
  failed: boolean,
  items?: number,
];
/** An actor to the node of its owner, which asked for it: the calls that ended since the last time. */
export interface RecordedMessage {
  readonly kind: 'recorded';
  readonly actor: string;
  readonly actorType: string;
  readonly epoch: number;
  readonly node: string;
  readonly calls: readonly RecordedCall[];
  /** More than one message holds. */
  readonly omitted: number;
}
/** A node to whoever listens: something happened just now. */
export interface EventMessage {
  readonly kind: 'event';
  readonly event: RuntimeEvent;
}

const recordedCall = [v.string(), v.number(), v.number(), v.boolean()] as const;

export const nodeMessageSchemas = [
  v.object({ kind: v.literal('ping') }),
  v.object({ kind: v.literal('pong'), owner: v.string() }),
  v.object({ kind: v.literal('done') }),
  v.object({ kind: v.literal('failed'), error: wireErrorSchema }),
  v.object({
    kind: v.literal('heartbeat'),
    protocol: count,
    nodeId: v.string(),
    nodeName: v.string(),
    pid: count,
    labels: texts,
    resources: resourcesSchema,
    free: resourcesSchema,
    actorTypes: v.array(v.string()),
    actors: count,
    draining: v.boolean(),
    leaving: v.boolean(),
    nextMs: v.number(),
  }),
  v.object({ kind: v.literal('roll-call'), nodeId: v.string() }),
  v.object({ kind: v.literal('lease'), nodeId: v.string() }),
  v.object({ kind: v.literal('leased'), remainingMs: v.number(), grant: v.string() }),
  v.object({ kind: v.literal('leave'), timeoutMs: durationMs }),
  v.object({
    kind: v.literal('look'),
    gone: v.exactOptional(v.pipe(v.array(v.string()), v.maxLength(GONE_MAX))),
  }),
  v.object({ kind: v.literal('lookup'), name: v.string() }),
  v.object({ kind: v.literal('found'), address: v.exactOptional(actorAddressSchema) }),
  v.object({
    kind: v.literal('inspect'),
    eventsMax: count,
    everybody: v.exactOptional(v.boolean()),
  }),
  v.object({ kind: v.literal('inspection'), ...carried }),
  v.object({
    kind: v.literal('recorded'),
    actor: v.string(),
    actorType: v.string(),
    epoch: count,
    node: v.string(),
    calls: v.array(v.union([v.strictTuple(recordedCall), v.strictTuple([...recordedCall, count])])),
    omitted: count,
  }),
  v.object({ kind: v.literal('event'), event: runtimeEventSchema }),
] as const;
