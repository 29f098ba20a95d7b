import * as v from 'valibot';
import { DamagedDataError, type DeathCause } from '../../errors.ts';
import { type Resources, resourcesSchema } from './resources.ts';
import { deathCauseSchema } from './wire-error.ts';
import { type Carried, carried, count, durationMs, texts } from './wire-fields.ts';

// The lives of actors: between owners, nodes, processes and actors.

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
  /** The actor's own, for whoever looks. */
  readonly labels?: Readonly<Record<string, string>>;
  /** The node whose word the actor needs to act, again and again; absent where nobody else starts it. */
  readonly lessor?: string;
  /** Of that word: it counts for the actor only as long as it comes under this id. */
  readonly grant?: string;
  /** Known to the owner and to whoever runs this life: what they say of it is believed with that only. */
  readonly secret: string;
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
/** Finish what is in hand, then save a checkpoint. */
export interface DrainMessage {
  readonly kind: 'drain';
  readonly to: string;
  readonly timeoutMs: number;
  /** That of the life's start. */
  readonly secret: string;
  /** What comes from now on is not begun: another life will do it. */
  readonly last?: boolean;
}
/** End now. */
export interface StopMessage {
  readonly kind: 'stop';
  readonly to: string;
  /** That of the life's start. */
  readonly secret: string;
}
/** A node that leaves to the owner of an actor there: take it elsewhere. */
export interface MoveMessage {
  readonly kind: 'move';
  readonly name: string;
  readonly incarnation: string;
  readonly timeoutMs: number;
}
/** Anybody to the supervisor of a detached actor: it is to end for good. */
export interface EndActorMessage {
  readonly kind: 'end-actor';
  readonly name: string;
  readonly timeoutMs: number;
  /** Only this life of it: nothing happens when that is not the present one. */
  readonly epoch?: number;
}
export interface KillMessage {
  readonly kind: 'kill';
  readonly incarnation: string;
}
/** Node to owner: the incarnation is gone. */
export interface ExitedMessage {
  readonly kind: 'exited';
  readonly incarnation: string;
  /** That of the life's start. */
  readonly secret: string;
  readonly cause: DeathCause;
}
/** Actor to owner: keep this state (`value`, a frame's bytes) of the incarnation. */
export interface CheckpointMessage extends Carried {
  readonly kind: 'checkpoint';
  readonly incarnation: string;
  /** That of the life's start. */
  readonly secret: string;
  readonly name: string;
  /** Counts the checkpoints of this incarnation: an earlier one that comes late is not kept. */
  readonly number: number;
}
/** Child process to its node: connected and waiting for an actor. */
export interface ReadyMessage {
  readonly kind: 'ready';
  readonly processId: string;
  /** Told to the process through its standard input. */
  readonly secret: string;
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

export const lifeMessageSchemas = [
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
    labels: v.exactOptional(texts),
    lessor: v.exactOptional(v.string()),
    grant: v.exactOptional(v.string()),
    secret: v.string(),
    recordCalls: v.exactOptional(v.boolean()),
    ...carried,
  }),
  v.object({ kind: v.literal('started'), pid: count }),
  v.object({
    kind: v.literal('drain'),
    to: v.string(),
    timeoutMs: durationMs,
    secret: v.string(),
    last: v.exactOptional(v.boolean()),
  }),
  v.object({ kind: v.literal('stop'), to: v.string(), secret: v.string() }),
  v.object({
    kind: v.literal('move'),
    name: v.string(),
    incarnation: v.string(),
    timeoutMs: durationMs,
  }),
  v.object({
    kind: v.literal('end-actor'),
    name: v.string(),
    timeoutMs: durationMs,
    epoch: v.exactOptional(count),
  }),
  v.object({ kind: v.literal('kill'), incarnation: v.string() }),
  v.object({
    kind: v.literal('exited'),
    incarnation: v.string(),
    secret: v.string(),
    cause: deathCauseSchema,
  }),
  v.object({
    kind: v.literal('checkpoint'),
    incarnation: v.string(),
    secret: v.string(),
    name: v.string(),
    number: count,
    ...carried,
  }),
  v.object({ kind: v.literal('ready'), processId: v.string(), secret: v.string() }),
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
  v.object({ kind: v.literal('stop-child'), name: v.string(), timeoutMs: durationMs }),
] as const;

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
