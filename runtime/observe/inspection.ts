import * as v from 'valibot';
import { DamagedDataError, type DeathCause } from '../../errors.ts';
import type { BusKind } from '../bus/bus.ts';
import type { ObjectFacts } from '../objects/object-store.ts';
import type { ActorStatus } from '../wire/life-messages.ts';
import { type Resources, resourcesSchema } from '../wire/resources.ts';
import { type RuntimeEvent, runtimeEventSchema } from '../wire/runtime-event.ts';
import { deathCauseSchema } from '../wire/wire-error.ts';

/** Actors that one node tells of: so many that live on it, and so many that it owns. */
export const INSPECTED_ACTORS_MAX = 10_000;
/** Objects that one node tells of, the largest ones. */
export const INSPECTED_OBJECTS_MAX = 1_000;

/** What an actor counted in its present life. */
export interface ActorFigures {
  readonly uptimeMs: number;
  /** Calls in its mailbox. */
  readonly waiting: number;
  readonly done: number;
  readonly failed: number;
  /** How long its methods ran, summed, and calls by duration: see `CALL_DURATIONS_MS`. */
  readonly ranMs: number;
  readonly durations: readonly number[];
  readonly receivedBytes: number;
  readonly sentBytes: number;
  /** Of its process; absent for an inline actor, which has none of its own. */
  readonly rssBytes?: number;
  readonly cpuMs?: number;
}

/** An actor as the node sees it that it lives on. */
export interface HostedFacts {
  readonly name: string;
  readonly type: string;
  readonly owner: string;
  readonly epoch: number;
  readonly isolation: 'process' | 'inline';
  readonly pid: number;
  readonly labels?: Readonly<Record<string, string>>;
  /** Absent when its process has never answered in time. */
  readonly figures?: ActorFigures;
  /** How old the figures are: an actor that blocks its process answers later. */
  readonly figuresAgeMs?: number;
}

/**
 * An actor as the node sees it that answers for it: the one that spawned it or, if it is detached, the
 * one that adopted it last. Of the dead ones the last hundred are told.
 */
export interface OwnedFacts {
  readonly name: string;
  readonly type: string;
  /** As in its incarnations: the node's id, but for a detached actor. */
  readonly owner: string;
  readonly detached: boolean;
  readonly labels?: Readonly<Record<string, string>>;
  readonly status: ActorStatus;
  readonly epoch: number;
  /** Where it lives or lived last; empty before its first place was found. */
  readonly node: string;
  /** Of that node, if the one that tells knows it: it may be gone. */
  readonly nodeName?: string;
  readonly pid: number;
  readonly restarts: number;
  /** How long it has had its present status. */
  readonly sinceMs: number;
  /** Of its last death. */
  readonly cause?: DeathCause;
}

/** An object that a node has, of its own or as a copy, with the number of its holders. */
export interface InspectedObject extends Omit<ObjectFacts, 'holders'> {
  readonly holders: number;
}

export interface PastEvent {
  readonly ageMs: number;
  readonly event: RuntimeEvent;
}

/** What a node is and knows of others. */
export interface NodeDescription {
  readonly nodeId: string;
  readonly nodeName: string;
  readonly pid: number;
  readonly protocol: number;
  readonly bus: BusKind;
  readonly labels: Readonly<Record<string, string>>;
  readonly resources: Resources;
  readonly free: Resources;
  readonly actorTypes: readonly string[];
  readonly uptimeMs: number;
  readonly rssBytes: number;
  readonly cpuMs: number;
  /** The other nodes that it knows. */
  readonly peers: readonly NodeName[];
  /** Nodes of another protocol version, in words. */
  readonly refusals: readonly string[];
}

/** All that a node tells of itself. Ages instead of times: clocks of hosts differ. */
export interface NodeInspection extends NodeDescription {
  readonly hosted: readonly HostedFacts[];
  readonly owned: readonly OwnedFacts[];
  /** Actors beyond `INSPECTED_ACTORS_MAX`. */
  readonly omittedActors: number;
  readonly objects: readonly InspectedObject[];
  /** Of all objects here, told of or not. */
  readonly objectMemoryBytes: number;
  readonly omittedObjects: number;
  /** Oldest first. */
  readonly events: readonly PastEvent[];
}

export interface NodeName {
  readonly nodeId: string;
  readonly nodeName: string;
}

/** @throws DamagedDataError */
export function parseNodeInspection(value: unknown): NodeInspection {
  return parse(nodeInspectionSchema, value);
}

/** @throws DamagedDataError */
export function parseActorFigures(value: unknown): ActorFigures {
  return parse(actorFiguresSchema, value);
}

function parse<Output>(schema: v.GenericSchema<unknown, Output>, value: unknown): Output {
  const parsed = v.safeParse(schema, value, { abortEarly: true });
  if (parsed.success) return parsed.output;
  throw new DamagedDataError(
    `the answer to an inspection is malformed: ${parsed.issues[0].message}`,
  );
}

const texts = v.record(v.string(), v.string());
const optionalNumber = v.exactOptional(v.number());
const nodeName = { nodeId: v.string(), nodeName: v.string() };

const actorFiguresSchema: v.GenericSchema<unknown, ActorFigures> = v.object({
  uptimeMs: v.number(),
  waiting: v.number(),
  done: v.number(),
  failed: v.number(),
  ranMs: v.number(),
  durations: v.array(v.number()),
  receivedBytes: v.number(),
  sentBytes: v.number(),
  rssBytes: optionalNumber,
  cpuMs: optionalNumber,
});

const hostedFactsSchema: v.GenericSchema<unknown, HostedFacts> = v.object({
  name: v.string(),
  type: v.string(),
  owner: v.string(),
  epoch: v.number(),
  isolation: v.picklist(['process', 'inline']),
  pid: v.number(),
  labels: v.exactOptional(texts),
  figures: v.exactOptional(actorFiguresSchema),
  figuresAgeMs: optionalNumber,
});

const ownedFactsSchema: v.GenericSchema<unknown, OwnedFacts> = v.object({
  name: v.string(),
  type: v.string(),
  owner: v.string(),
  detached: v.boolean(),
  labels: v.exactOptional(texts),
  status: v.picklist(['running', 'moving', 'restarting', 'dead']),
  epoch: v.number(),
  node: v.string(),
  nodeName: v.exactOptional(v.string()),
  pid: v.number(),
  restarts: v.number(),
  sinceMs: v.number(),
  cause: v.exactOptional(deathCauseSchema),
});

const inspectedObjectSchema: v.GenericSchema<unknown, InspectedObject> = v.object({
  id: v.string(),
  bytes: v.number(),
  owner: v.string(),
  holders: v.number(),
  where: v.picklist(['memory', 'disk', 'lost']),
  spilled: v.boolean(),
});

const nodeInspectionSchema: v.GenericSchema<unknown, NodeInspection> = v.object({
  ...nodeName,
  pid: v.number(),
  protocol: v.number(),
  bus: v.picklist(['memory', 'local', 'nats', 'simulated']),
  labels: texts,
  resources: resourcesSchema,
  free: resourcesSchema,
  actorTypes: v.array(v.string()),
  uptimeMs: v.number(),
  rssBytes: v.number(),
  cpuMs: v.number(),
  peers: v.array(v.object(nodeName)),
  refusals: v.array(v.string()),
  hosted: v.array(hostedFactsSchema),
  owned: v.array(ownedFactsSchema),
  omittedActors: v.number(),
  objects: v.array(inspectedObjectSchema),
  objectMemoryBytes: v.number(),
  omittedObjects: v.number(),
  events: v.array(v.object({ ageMs: v.number(), event: runtimeEventSchema })),
});
