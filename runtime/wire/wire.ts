import * as v from 'valibot';
import { DamagedDataError, type DeathCause } from '../../errors.ts';
import type { ChunkReference } from './chunks.ts';
import { chunkReferenceSchema, fromCompact, toCompact } from './compact-wire.ts';
import { decodeFrame, encodeFrame } from './frame.ts';
import { type Resources, resourcesSchema } from './resources.ts';
import { type RuntimeEvent, runtimeEventSchema } from './runtime-event.ts';
import { deathCauseSchema, type WireError, wireErrorSchema } from './wire-error.ts';

/** Raised with every change that an older node would misread; nodes of another version are refused. */
export const PROTOCOL_VERSION = 1;

/** A value inside a message: itself, or where to fetch it when the bus can't carry it in one piece. */
export interface Carried {
  readonly value?: unknown;
  readonly chunks?: ChunkReference;
}

// From a caller to an incarnation `to`, on the actor's subject; credit and cancel also from whoever reads
// a stream that came as an argument, to that stream, in the inbox of the caller that has it.
// `from` is the caller's inbox.
// `seq` numbers the calls of one caller to one incarnation; all below `floor` are settled.

/**
 * `value` is the array of arguments. With `credit` the method is a stream, of so many items at first.
 * Calls of one method with one `key` act once.
 */
export interface CallMessage extends Carried {
  readonly kind: 'call';
  readonly to: string;
  readonly from: string;
  readonly seq: number;
  readonly floor: number;
  readonly method: string;
  readonly timeoutMs: number;
  readonly credit?: number;
  readonly key?: string;
  /** Headers of a distributed trace, as of W3C trace context. */
  readonly trace?: Readonly<Record<string, string>>;
}
/** The caller no longer wants call or stream `seq`. */
export interface CancelMessage {
  readonly kind: 'cancel';
  readonly to: string;
  readonly from: string;
  readonly seq: number;
}
/** Items below `received` arrived in order, those below `allowed` may be sent; also a sign of life. */
export interface CreditMessage {
  readonly kind: 'credit';
  readonly to: string;
  readonly from: string;
  readonly seq: number;
  readonly received: number;
  readonly allowed: number;
  /** Items from `received` on seem lost and are to be sent again. */
  readonly resend: boolean;
}
/** Asks which of the calls from `floor` up to, not including, `next` did not arrive. */
export interface ProbeMessage {
  readonly kind: 'probe';
  readonly to: string;
  readonly from: string;
  readonly floor: number;
  readonly next: number;
}
/** System lane, as bus requests: answered beside the mailbox, however full that is. */
export interface PingMessage {
  readonly kind: 'ping';
}
/** Finish what is in hand, then save a checkpoint. */
export interface DrainMessage {
  readonly kind: 'drain';
  readonly to: string;
  readonly timeoutMs: number;
  /** What comes from now on is not begun: another life will do it. */
  readonly last?: boolean;
}
/** End now. */
export interface StopMessage {
  readonly kind: 'stop';
  readonly to: string;
}

// From an incarnation to a caller's inbox.

export interface ReplyMessage extends Carried {
  readonly kind: 'reply';
  readonly of: string;
  readonly seq: number;
  readonly error?: WireError;
}
export interface ItemMessage extends Carried {
  readonly kind: 'item';
  readonly of: string;
  readonly seq: number;
  readonly index: number;
}
/** The stream has `index` items in all, or failed after so many. */
export interface EndMessage {
  readonly kind: 'end';
  readonly of: string;
  readonly seq: number;
  readonly index: number;
  readonly error?: WireError;
}
/** Answer to a probe: these calls are to be sent again, those are done and their answer is gone. */
export interface ProgressMessage {
  readonly kind: 'progress';
  readonly of: string;
  readonly missing: readonly number[];
  readonly forgotten: readonly number[];
}

// Between owners, nodes and processes.

/** `moving`: it finishes what it has in hand and goes on elsewhere; what comes now waits for that. */
export type ActorStatus = 'running' | 'moving' | 'restarting' | 'dead';

/** What an owner says of its actor, on the actor's state subject and in answer to `locate`. */
export interface StateMessage {
  readonly kind: 'state';
  readonly owner: string;
  readonly name: string;
  /** Counts the announcements of this actor: a later one overrides an earlier one. */
  readonly version: number;
  readonly status: ActorStatus;
  readonly epoch: number;
  /** Where it lives, or lived last. */
  readonly nodeId: string;
  readonly cause?: DeathCause;
}
export interface LocateMessage {
  readonly kind: 'locate';
  readonly name: string;
}
/** Makes an actor live: owner to node, and node to child process. `value` is `StartValue`. */
export interface StartMessage extends Carried {
  readonly kind: 'start';
  readonly owner: string;
  readonly name: string;
  readonly type: string;
  /** From a node to its child: which of the allowed modules exports the type. */
  readonly module?: string;
  readonly epoch: number;
  readonly isolation: 'process' | 'inline';
  readonly mailboxMessagesMax: number;
  /** Absent: one call at a time. */
  readonly maxConcurrency?: number;
  readonly resources: Resources;
  readonly niceness?: number;
  readonly environment?: Readonly<Record<string, string>>;
  /** The node whose word the actor needs to act, again and again; absent where nobody else starts it. */
  readonly lessor?: string;
  /** Its owner wants to know when its calls ran. */
  readonly recordCalls?: boolean;
}
export interface StartValue {
  /** For the actor's `create`; handles inside are plain data. */
  readonly options?: unknown;
  /** A frame's bytes: what `checkpoint` returned in an earlier life. */
  readonly state?: Uint8Array;
}
export interface StartedMessage {
  readonly kind: 'started';
  readonly pid: number;
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
}
/** A node that leaves to the owner of an actor there: take it elsewhere. */
export interface MoveMessage {
  readonly kind: 'move';
  readonly name: string;
  readonly incarnation: string;
  readonly timeoutMs: number;
}
/** Anybody to a node: let your actors finish, move them elsewhere and leave. */
export interface LeaveMessage {
  readonly kind: 'leave';
  readonly timeoutMs: number;
}
/** Anybody to a node: there is a detached actor to be taken up. */
export interface LookMessage {
  readonly kind: 'look';
}
/** Anybody to a host: has any actor this name in the register? */
export interface LookupMessage {
  readonly kind: 'lookup';
  readonly name: string;
}
export interface FoundMessage {
  readonly kind: 'found';
  readonly found: boolean;
}
/** Anybody to the supervisor of a detached actor: it is to end for good. */
export interface EndActorMessage {
  readonly kind: 'end-actor';
  readonly name: string;
  readonly timeoutMs: number;
}
export interface KillMessage {
  readonly kind: 'kill';
  readonly incarnation: string;
}
/** Node to owner: the incarnation is gone. */
export interface ExitedMessage {
  readonly kind: 'exited';
  readonly incarnation: string;
  readonly cause: DeathCause;
}
/** Actor to owner: keep this state (`value`, a frame's bytes) of the incarnation. */
export interface CheckpointMessage extends Carried {
  readonly kind: 'checkpoint';
  readonly incarnation: string;
  readonly name: string;
  /** Counts the checkpoints of this incarnation: an earlier one that comes late is not kept. */
  readonly number: number;
}
/** Child process to its node: connected and waiting for an actor. */
export interface ReadyMessage {
  readonly kind: 'ready';
  readonly processId: string;
}
/** Anybody to a node, or a node to its child: what do you run? With so many past events, at most. */
export interface InspectMessage {
  readonly kind: 'inspect';
  readonly eventsMax: number;
}
/** `value` is a node's `NodeInspection`, or a child's `ActorFigures`. */
export interface InspectionMessage extends Carried {
  readonly kind: 'inspection';
}
/** A method's name, when it began (ms before the message was sent), how long it ran, and whether it threw. */
export type RecordedCall = readonly [method: string, agoMs: number, ranMs: number, failed: boolean];
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
/**
 * Actor to its node: spawn an actor that ends when the incarnation `parent` does. `value` is the list
 * of its options and its spawn options; `request` counts those of the parent.
 */
export interface SpawnMessage extends Carried {
  readonly kind: 'spawn';
  readonly parent: string;
  readonly request: number;
  readonly type: string;
  readonly module: string;
}
export interface SpawnedMessage {
  readonly kind: 'spawned';
  readonly name: string;
  readonly owner: string;
  /** False for a detached actor, and for one that was there already. */
  readonly owned: boolean;
}
export interface StopChildMessage {
  readonly kind: 'stop-child';
  readonly name: string;
  readonly timeoutMs: number;
}
export interface DoneMessage {
  readonly kind: 'done';
}
export interface FailedMessage {
  readonly kind: 'failed';
  readonly error: WireError;
}
export interface PongMessage {
  readonly kind: 'pong';
  readonly owner: string;
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

/** From a process to the one that holds the register in its memory; `id` is the same in a repetition. */
export interface RegisterMessage {
  readonly kind: 'register';
  readonly id: string;
  readonly operation: 'get' | 'create' | 'update' | 'delete' | 'list';
  /** Of one entry, or the prefix of a list. */
  readonly key: string;
  readonly value?: unknown;
  /** The one that is expected. */
  readonly revision?: number;
}
/** `revision` of a write that happened, entries of a read. */
export interface RegisteredMessage {
  readonly kind: 'registered';
  readonly revision?: number;
  readonly entries: readonly RegisterEntryMessage[];
}
export interface RegisterEntryMessage {
  readonly key: string;
  readonly value?: unknown;
  readonly revision: number;
}
/** On the subject of changes: an entry as it is now, or that it was deleted. */
export interface RegisterChangeMessage extends RegisterEntryMessage {
  readonly kind: 'register-change';
  readonly deleted: boolean;
}

// About objects, to the store of a node.

/** What a reference is on the wire, and where its object is: chunk sizes and sums as over the bus. */
export interface ObjectAddress {
  readonly node: string;
  /** Begins with a word that is new for each life of the node. */
  readonly id: string;
  /** Of the value's frame. */
  readonly byteLength: number;
  readonly chunkBytes: number;
  readonly crc32: number;
}
/** A process to its own node: keep this (`value`, a frame's bytes), and `holder` as its first holder. */
export interface ObjectPutMessage extends Carried {
  readonly kind: 'object-put';
  readonly holder: string;
  readonly byteLength: number;
}
export interface ObjectStoredMessage {
  readonly kind: 'object-stored';
  readonly address: ObjectAddress;
}
/** A process to its own node: get the object from its node, once for all of this host. */
export interface ObjectFetchMessage {
  readonly kind: 'object-fetch';
  readonly address: ObjectAddress;
}
/** Answered by `done`, or by the error that tells why the object is gone. */
export interface ObjectCheckMessage {
  readonly kind: 'object-check';
  readonly id: string;
}
/** Unanswered: `holder` wants objects `hold` for `leaseMs` from now, and `release` no more. */
export interface ObjectLeasesMessage {
  readonly kind: 'object-leases';
  readonly holder: string;
  readonly leaseMs: number;
  readonly hold: readonly string[];
  readonly release: readonly string[];
}

export type WireMessage =
  | CallMessage
  | CancelMessage
  | CreditMessage
  | ProbeMessage
  | PingMessage
  | DrainMessage
  | StopMessage
  | ReplyMessage
  | ItemMessage
  | EndMessage
  | ProgressMessage
  | StateMessage
  | LocateMessage
  | StartMessage
  | StartedMessage
  | LeaseMessage
  | LeasedMessage
  | MoveMessage
  | LeaveMessage
  | LookMessage
  | LookupMessage
  | FoundMessage
  | EndActorMessage
  | KillMessage
  | ExitedMessage
  | CheckpointMessage
  | ReadyMessage
  | SpawnMessage
  | SpawnedMessage
  | StopChildMessage
  | InspectMessage
  | InspectionMessage
  | EventMessage
  | RecordedMessage
  | DoneMessage
  | FailedMessage
  | PongMessage
  | HeartbeatMessage
  | RegisterMessage
  | RegisteredMessage
  | RegisterChangeMessage
  | ObjectPutMessage
  | ObjectStoredMessage
  | ObjectFetchMessage
  | ObjectCheckMessage
  | ObjectLeasesMessage;

/** @throws TypeError or RangeError when the message carries what a frame can't. */
export function encodeMessage(message: WireMessage): Uint8Array {
  const { kind } = message;
  const compact = kind === 'call' || kind === 'reply' || kind === 'item';
  return encodeFrame(compact ? toCompact(message) : message);
}

/** @throws DamagedDataError for what is no message of this protocol. */
export function decodeMessage(bytes: Uint8Array): WireMessage {
  const content = decodeFrame(bytes);
  if (Array.isArray(content)) {
    const message = fromCompact(content);
    if (message !== undefined) return message;
    throw notOurs('an array of other fields than a call, a reply or an item has');
  }
  const parsed = v.safeParse(messageSchema, content, { abortEarly: true });
  if (parsed.success) return parsed.output;
  throw notOurs(parsed.issues[0].message);
}

function notOurs(reason: string): DamagedDataError {
  return new DamagedDataError(
    `a message is none of protocol version ${PROTOCOL_VERSION}: ${reason}; ` +
      'do all processes run the same version of codistill?',
  );
}

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const carried = {
  value: v.exactOptional(v.unknown()),
  chunks: v.exactOptional(chunkReferenceSchema),
};
const toActor = { to: v.string(), from: v.string() };
const toCaller = { of: v.string(), seq: count };
const error = v.exactOptional(wireErrorSchema);
const texts = v.record(v.string(), v.string());
const registerEntry = { key: v.string(), value: v.exactOptional(v.unknown()), revision: count };

/** Of foreign origin too: it sizes buffers. */
export const objectAddressSchema: v.GenericSchema<unknown, ObjectAddress> = v.object({
  node: v.string(),
  id: v.pipe(v.string(), v.regex(/^\w{1,32}-\d{1,15}$/)),
  byteLength: count,
  chunkBytes: v.pipe(count, v.minValue(1)),
  crc32: count,
});

const messageSchema: v.GenericSchema<unknown, WireMessage> = v.variant('kind', [
  v.object({ kind: v.literal('end'), ...toCaller, index: count, error }),
  v.object({
    kind: v.literal('credit'),
    ...toActor,
    seq: count,
    received: count,
    allowed: count,
    resend: v.boolean(),
  }),
  v.object({ kind: v.literal('cancel'), ...toActor, seq: count }),
  v.object({ kind: v.literal('probe'), ...toActor, floor: count, next: count }),
  v.object({
    kind: v.literal('progress'),
    of: v.string(),
    missing: v.array(count),
    forgotten: v.array(count),
  }),
  v.object({ kind: v.literal('ping') }),
  v.object({ kind: v.literal('pong'), owner: v.string() }),
  v.object({
    kind: v.literal('drain'),
    to: v.string(),
    timeoutMs: v.number(),
    last: v.exactOptional(v.boolean()),
  }),
  v.object({ kind: v.literal('stop'), to: v.string() }),
  v.object({
    kind: v.literal('state'),
    owner: v.string(),
    name: v.string(),
    version: count,
    status: v.picklist(['running', 'moving', 'restarting', 'dead']),
    epoch: count,
    nodeId: v.string(),
    cause: v.exactOptional(deathCauseSchema),
  }),
  v.object({ kind: v.literal('locate'), name: v.string() }),
  v.object({
    kind: v.literal('start'),
    owner: v.string(),
    name: v.string(),
    type: v.string(),
    module: v.exactOptional(v.string()),
    epoch: count,
    isolation: v.picklist(['process', 'inline']),
    mailboxMessagesMax: count,
    maxConcurrency: v.exactOptional(count),
    resources: resourcesSchema,
    niceness: v.exactOptional(v.number()),
    environment: v.exactOptional(texts),
    lessor: v.exactOptional(v.string()),
    recordCalls: v.exactOptional(v.boolean()),
    ...carried,
  }),
  v.object({ kind: v.literal('started'), pid: count }),
  v.object({ kind: v.literal('lease'), nodeId: v.string() }),
  v.object({ kind: v.literal('leased'), remainingMs: v.number() }),
  v.object({
    kind: v.literal('move'),
    name: v.string(),
    incarnation: v.string(),
    timeoutMs: v.number(),
  }),
  v.object({ kind: v.literal('leave'), timeoutMs: v.number() }),
  v.object({ kind: v.literal('look') }),
  v.object({ kind: v.literal('lookup'), name: v.string() }),
  v.object({ kind: v.literal('found'), found: v.boolean() }),
  v.object({ kind: v.literal('end-actor'), name: v.string(), timeoutMs: v.number() }),
  v.object({ kind: v.literal('kill'), incarnation: v.string() }),
  v.object({ kind: v.literal('exited'), incarnation: v.string(), cause: deathCauseSchema }),
  v.object({
    kind: v.literal('checkpoint'),
    incarnation: v.string(),
    name: v.string(),
    number: count,
    ...carried,
  }),
  v.object({ kind: v.literal('ready'), processId: v.string() }),
  v.object({
    kind: v.literal('spawn'),
    parent: v.string(),
    request: count,
    type: v.string(),
    module: v.string(),
    ...carried,
  }),
  v.object({
    kind: v.literal('spawned'),
    name: v.string(),
    owner: v.string(),
    owned: v.boolean(),
  }),
  v.object({ kind: v.literal('stop-child'), name: v.string(), timeoutMs: v.number() }),
  v.object({ kind: v.literal('inspect'), eventsMax: count }),
  v.object({ kind: v.literal('inspection'), ...carried }),
  v.object({ kind: v.literal('event'), event: runtimeEventSchema }),
  v.object({
    kind: v.literal('recorded'),
    actor: v.string(),
    actorType: v.string(),
    epoch: count,
    node: v.string(),
    calls: v.array(v.strictTuple([v.string(), v.number(), v.number(), v.boolean()])),
    omitted: count,
  }),
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
  v.object({
    kind: v.literal('register'),
    id: v.string(),
    operation: v.picklist(['get', 'create', 'update', 'delete', 'list']),
    key: v.string(),
    value: v.exactOptional(v.unknown()),
    revision: v.exactOptional(count),
  }),
  v.object({
    kind: v.literal('registered'),
    revision: v.exactOptional(count),
    entries: v.array(v.object(registerEntry)),
  }),
  v.object({ kind: v.literal('register-change'), ...registerEntry, deleted: v.boolean() }),
  v.object({
    kind: v.literal('object-put'),
    holder: v.string(),
    byteLength: count,
    ...carried,
  }),
  v.object({ kind: v.literal('object-stored'), address: objectAddressSchema }),
  v.object({
    kind: v.literal('object-fetch'),
    address: objectAddressSchema,
  }),
  v.object({ kind: v.literal('object-check'), id: v.string() }),
  v.object({
    kind: v.literal('object-leases'),
    holder: v.string(),
    leaseMs: v.pipe(v.number(), v.minValue(0)),
    hold: v.array(v.string()),
    release: v.array(v.string()),
  }),
]);

const startValueSchema: v.GenericSchema<unknown, StartValue> = v.object({
  options: v.exactOptional(v.unknown()),
  state: v.exactOptional(v.instance(Uint8Array)),
});

/** @throws DamagedDataError */
export function parseStartValue(value: unknown): StartValue {
  const parsed = v.safeParse(startValueSchema, value);
  if (parsed.success) return parsed.output;
  throw new DamagedDataError(`a start message is malformed: ${parsed.issues[0].message}`);
}
