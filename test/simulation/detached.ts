import { CodistillError } from '../../errors.ts';
import { requestControl } from '../../runtime/calls/control.ts';
import type { ActorAddress } from '../../runtime/calls/handle.ts';
import type { Handle, Random } from '../../runtime/index.ts';
import { plantDetached } from '../../runtime/nodes/name-record.ts';
import { planSpawn } from '../../runtime/nodes/spawn-options.ts';
import { connectRegister } from '../../runtime/registry/bus-register.ts';
import { detachedOwner, subjects } from '../../runtime/wire/address.ts';
import { encodeMessage } from '../../runtime/wire/wire.ts';
import type { Journal } from './journal.ts';
import { defineLedger, type Ledger } from './ledger.ts';
import type { Station } from './station.ts';

/** What who wants a detached actor may be told under faults, and tries again. */
const passing: ReadonlySet<string> = new Set([
  'DEADLINE',
  'NO_RESPONDER',
  'ACTOR_DIED',
  'PLACEMENT',
  'BUS_CLOSED',
]);
const LOOK_MS = 1_000;

export interface DetachedPlan {
  readonly name: string;
  readonly isolation: 'process' | 'inline';
  readonly mailboxMessagesMax: number;
}

/** Spawns the actor or finds it, as chance wants; undefined when that has to be tried again. */
export async function acquire(
  plan: DetachedPlan,
  station: Station,
  random: Random,
  journal: Journal,
): Promise<Handle<Ledger> | undefined> {
  const { system } = station.host;
  const definition = defineLedger(journal);
  const { name } = plan;
  try {
    if (random.chance(0.3)) return await system.get(definition, name);
    const options = { owner: detachedOwner(name) };
    return await system.spawn(definition, options, { ...spawnOptionsOf(plan), getIfExists: true });
  } catch (error) {
    const code = error instanceof CodistillError ? error.code : 'none';
    if (!passing.has(code)) journal.violation(`${station.host.name} can't get ${name}: ${error}`);
    return undefined;
  }
}

/** As `submit` does it with a job's controller: nobody has begun the actor, and some node takes it up. */
export async function plant(plan: DetachedPlan, station: Station, journal: Journal): Promise<void> {
  const { endpoint, system } = station.host;
  const { name } = plan;
  const definition = defineLedger(journal);
  const { type } = definition;
  const owner = detachedOwner(name);
  const methods = definition.methods as ActorAddress['methods'];
  const address = { name, type, owner, methods };
  const spawnPlan = planSpawn(spawnOptionsOf(plan), name, plan.isolation);
  const register = connectRegister(endpoint);
  await plantDetached(register, address, spawnPlan, { owner });
  const parcel = { bytes: encodeMessage({ kind: 'look' }) };
  const subject = subjects.node(endpoint.namespace, system.nodeId);
  await requestControl(endpoint, subject, 'done', parcel, { timeoutMs: LOOK_MS });
}

function spawnOptionsOf({ name, isolation, mailboxMessagesMax }: DetachedPlan) {
  return {
    name,
    isolation,
    mailboxMessagesMax,
    lifetime: 'detached',
    placement: 'spread',
    maxRestarts: 1_000_000,
  } as const;
}
