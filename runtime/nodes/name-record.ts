import * as v from 'valibot';
import type { ActorAddress } from '../calls/handle.ts';
import { type Register, type RegisterEntry, registerKey } from '../registry/register.ts';
import { actorAddressSchema } from '../wire/address.ts';
import type { SpawnPlan } from './spawn-options.ts';

const WAIT = { timeoutMs: 8_000 };

/** A name in the register: which actor has it and which incarnation of which node keeps it. */
export interface NameRecord {
  readonly address: ActorAddress;
  /** The node that supervises the actor, and its epoch: an older one is fenced off. */
  readonly node: string;
  readonly nodeEpoch: number;
  /** What another node needs to go on with it; only of a detached actor. */
  readonly detached?: DetachedRecord;
}

/** A detached actor's plan and where its present life is. */
export interface DetachedRecord {
  readonly plan: SpawnPlan;
  /** For `create`, as a frame's value; handles inside are plain data. */
  readonly options?: unknown;
  readonly epoch: number;
  readonly nodeId: string;
  readonly restarts: number;
}

/** A detached actor whose supervisor is not to be seen. */
export interface Orphan {
  readonly record: NameRecord & { readonly detached: DetachedRecord };
  readonly revision: number;
}

const detachedSchema = v.object({
  // Written by a node of the same protocol version, which had checked it.
  plan: v.custom<SpawnPlan>((value) => typeof value === 'object' && value !== null),
  options: v.exactOptional(v.unknown()),
  epoch: v.number(),
  nodeId: v.string(),
  restarts: v.number(),
});
const recordSchema: v.GenericSchema<unknown, NameRecord> = v.object({
  address: actorAddressSchema,
  node: v.string(),
  nodeEpoch: v.number(),
  detached: v.exactOptional(detachedSchema),
});

/**
 * Leaves a detached actor that nobody has begun yet to the first node that takes it up; false when the
 * name is taken.
 */
export async function plantDetached(
  register: Register,
  address: ActorAddress,
  plan: SpawnPlan,
  options: unknown,
): Promise<boolean> {
  const detached = { plan, options, epoch: 0, nodeId: '', restarts: 0 };
  const record: NameRecord = { address, node: '', nodeEpoch: 0, detached };
  return (await register.create(nameKey(address.name), record, WAIT)) !== undefined;
}

/** The node that keeps a name: undefined for a name that nobody has, '' before one has taken it up. */
export async function supervisorOf(register: Register, name: string): Promise<string | undefined> {
  const entry = await register.get(nameKey(name), WAIT);
  return entry && parseNameRecord(entry)?.node;
}

export function nameKey(name: string): string {
  return registerKey('names', name);
}

export function parseNameRecord({ value }: RegisterEntry): NameRecord | undefined {
  const parsed = v.safeParse(recordSchema, value);
  return parsed.success ? parsed.output : undefined;
}
