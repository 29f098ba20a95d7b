import * as v from 'valibot';
import type { DeathCause } from '../../errors.ts';
import { deathCauseSchema } from './wire-error.ts';

const eventNames = [
  'actor-started',
  'actor-restarted',
  'actor-died',
  'placement-refused',
  'node-joined',
  'node-left',
  'node-lost',
  'node-refused',
  'bus-connected',
  'bus-disconnected',
  'bus-slow',
  'bus-refused',
] as const;

export type RuntimeEventName = (typeof eventNames)[number];

/** Something that happened in a namespace, as one node saw it. */
export interface RuntimeEvent {
  readonly event: RuntimeEventName;
  /** One sentence for people. */
  readonly message: string;
  /** The node that tells. */
  readonly nodeId: string;
  readonly nodeName: string;
  /** Counts the events of that node. */
  readonly seq: number;
  /** The node that it happened to, or on. */
  readonly node?: string;
  readonly actor?: string;
  readonly actorType?: string;
  readonly epoch?: number;
  readonly pid?: number;
  readonly cause?: DeathCause;
}

export const runtimeEventSchema: v.GenericSchema<unknown, RuntimeEvent> = v.object({
  event: v.picklist(eventNames),
  message: v.string(),
  nodeId: v.string(),
  nodeName: v.string(),
  seq: v.number(),
  node: v.exactOptional(v.string()),
  actor: v.exactOptional(v.string()),
  actorType: v.exactOptional(v.string()),
  epoch: v.exactOptional(v.number()),
  pid: v.exactOptional(v.number()),
  cause: v.exactOptional(deathCauseSchema),
});
