import { setTimeout as delay } from 'node:timers/promises';
import * as v from 'valibot';
import { DeadlineError } from '../../errors.ts';
import type { Bus } from '../../runtime/index.ts';
import { witnessName } from './cluster-server.ts';

const ASK = { timeoutMs: 5_000 };
const ATTEMPT_MS = 1_000;
const CHANGE_MS = 250;
/** A new leader may have to be elected. */
const ELECTION_MS = 20_000;

/** A server that JetStream counts, whether it is there or not. */
export interface ServerMember {
  readonly name: string;
  /** What JetStream knows it by. */
  readonly peer: string;
  readonly isThere: boolean;
  /** It only votes, beside another one. */
  readonly isWitness: boolean;
}

export interface ServerMembers {
  readonly leader: string;
  readonly all: readonly ServerMember[];
}

const replicaSchema = v.object({
  name: v.string(),
  peer: v.string(),
  offline: v.optional(v.boolean(), false),
});
const answerSchema = v.object({
  data: v.object({
    meta_cluster: v.object({
      leader: v.string(),
      peer: v.string(),
      replicas: v.optional(v.array(replicaSchema), []),
    }),
  }),
});
const removedSchema = v.object({ error: v.optional(v.object({ description: v.string() })) });

/**
 * All servers that JetStream counts, as its leader knows them.
 * @param bus of a user of the system account, or of a client of `actorctl up`
 * @throws DeadlineError when there is no leader.
 */
export async function listMembers(bus: Bus, timeoutMs = ELECTION_MS): Promise<ServerMembers> {
  const data = await askLeader(bus, timeoutMs);
  const { leader, peer, replicas } = v.parse(answerSchema, fromBytes(data)).data.meta_cluster;
  const all = [{ name: leader, peer, offline: false }, ...replicas];
  return {
    leader,
    all: all.map(({ name, peer, offline }) => ({
      name,
      peer,
      isThere: !offline,
      isWitness: name.endsWith(witnessName('')),
    })),
  };
}

/**
 * JetStream no longer counts that server, and makes its replicas anew on others where there are enough.
 * @param bus of a user of the system account
 */
export async function removeMember(
  bus: Bus,
  { name, peer }: { readonly name: string; readonly peer?: string | undefined },
): Promise<void> {
  // Of one that has been away since the leader began, JetStream knows no name.
  const order = { peer: name, ...(peer !== undefined && { peer_id: peer }) };
  const giveUpAt = performance.now() + ELECTION_MS;
  for (;;) {
    const { data } = await bus.request('$JS.API.SERVER.REMOVE', toBytes(order), ASK);
    const { error } = v.parse(removedSchema, fromBytes(data));
    if (error === undefined) return;
    // One change after the other: a server may just have been taken in.
    if (!/in progress/.test(error.description) || performance.now() > giveUpAt) {
      throw new Error(`JetStream keeps ${name}: ${error.description}`);
    }
    await delay(CHANGE_MS);
  }
}

/** Nobody answers while no server leads. */
async function askLeader(bus: Bus, timeoutMs: number): Promise<Uint8Array> {
  const giveUpAt = performance.now() + timeoutMs;
  for (;;) {
    const leftMs = Math.max(1, giveUpAt - performance.now());
    const wait = { timeoutMs: Math.min(ATTEMPT_MS, leftMs) };
    try {
      const question = toBytes({ leader_only: true });
      return (await bus.request('$SYS.REQ.SERVER.PING.JSZ', question, wait)).data;
    } catch (error) {
      if (!(error instanceof DeadlineError) || performance.now() >= giveUpAt) throw error;
    }
  }
}

function toBytes(value: object): Uint8Array {
  return Buffer.from(JSON.stringify(value));
}

function fromBytes(bytes: Uint8Array): unknown {
  return JSON.parse(Buffer.from(bytes).toString());
}
