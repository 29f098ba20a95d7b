import { setTimeout as delay } from 'node:timers/promises';
import { BusUnavailableError, UserInputError } from '../../errors.ts';
import {
  type Bus,
  connectNatsBus,
  openNatsRegister,
  type Register,
  type ReplicaState,
  replicateStreams,
} from '../../runtime/index.ts';
import type { ClusterServer } from './cluster-server.ts';
import { listMembers, removeMember, type ServerMember } from './server-members.ts';

/** So many replicas has each stream, and of so many servers one may be lost. */
const MEMBERS_MIN = 3;
const WAIT = { timeoutMs: 15_000 };
const LOOK_MS = 250;
const LEADER_MS = 8_000;
/** For those that leave before this one. */
const TURN_MS = 60_000;
/** For replicas to be made elsewhere. */
const HAND_OVER_MS = 30_000;
/** A namespace of the register of its own. */
const TURNS = 'codistill servers';
const TURN = 'leaving';

/** `left`: JetStream counts it no longer. `away`: it does, for the reason if that is worth telling. */
export type Leaving = { readonly how: 'left' } | { readonly how: 'away'; readonly reason?: string };

interface Cluster {
  readonly bus: Bus;
  /** Of the system account. */
  readonly system: Bus;
}

/**
 * Takes a server out of JetStream while it runs, where enough others are left: they have replicas of everything
 * then. One that only went away would count, so that after some of them no majority were left. What it stored is
 * worth nothing afterwards.
 */
export async function leaveCluster(
  server: Pick<ClusterServer, 'connection' | 'system'>,
  name: string,
): Promise<Leaving> {
  try {
    return await withCluster(server, async (cluster) => {
      // Without a leader there is nothing to be left, as when all machines are ended for the night.
      const { all } = await listMembers(cluster.system, LEADER_MS);
      const isAlone = all.every((each) => each.isWitness || each.name === name);
      if (isAlone) return { how: 'away' };
      const leaving = await inTurn(cluster, name, () => leaveOthers(cluster, name));
      if (leaving.how === 'left') await untilHandedOver(cluster, name);
      return leaving;
    });
  } catch (error) {
    return { how: 'away', reason: (error as Error).message };
  }
}

/**
 * Takes a server out of JetStream that is lost.
 * @returns the servers that are left
 * @throws UserInputError when it is there, or too few are left
 */
export async function removeServer(
  server: Pick<ClusterServer, 'connection' | 'system'>,
  nameOrPeer: string,
): Promise<readonly ServerMember[]> {
  return await withCluster(server, async (cluster) => {
    const remove = async (): Promise<string> => {
      const lost = findLost(nameOrPeer, (await listMembers(cluster.system)).all);
      await removeMember(cluster.system, lost);
      return lost.name;
    };
    const name = await inTurn(cluster, nameOrPeer, remove);
    await untilHandedOver(cluster, name);
    return (await listMembers(cluster.system)).all;
  });
}

/** @throws UserInputError */
function findLost(nameOrPeer: string, all: readonly ServerMember[]): ServerMember {
  const found = all.find(({ name, peer }) => name === nameOrPeer || peer === nameOrPeer);
  if (found === undefined) {
    const names = all.map(({ name, isThere }) => `${name}${isThere ? '' : ' (away)'}`).join(', ');
    throw new UserInputError(`There is no server ${nameOrPeer}. There are: ${names}.`);
  }
  if (found.isThere) {
    throw new UserInputError(
      `The server ${found.name} runs. End its actorctl up there (Ctrl-C, or actorctl drain).`,
    );
  }
  if (all.length > MEMBERS_MIN) return found;
  throw new UserInputError(
    `Without ${found.name} fewer than ${MEMBERS_MIN} servers would be left, of which none may be lost. Join ` +
      'another machine first (actorctl up --join); then remove it.',
  );
}

async function leaveOthers({ bus, system }: Cluster, name: string): Promise<Leaving> {
  const { all } = await listMembers(system);
  const self = all.find((each) => each.name === name);
  // JetStream has not heard of it yet.
  if (self === undefined) return { how: 'away' };
  if (all.length <= MEMBERS_MIN) {
    const left = all.filter(({ isThere }) => isThere).length - 1;
    const wanted = Math.floor(all.length / 2) + 1;
    const what = `of ${all.length} servers ${wanted} have to be there`;
    if (left > wanted) return { how: 'away' };
    const rest = left < wanted ? 'names and jobs wait for its return' : 'none of the others may go';
    return { how: 'away', reason: `${what}: ${rest}` };
  }
  const { onlyAt } = await untilWhole(bus);
  if (onlyAt.includes(name)) return { how: 'away', reason: 'a stream is stored here alone' };
  await removeMember(system, self);
  return { how: 'left' };
}

/** As whole as the servers that are there let it be. */
async function untilWhole(bus: Bus): Promise<ReplicaState> {
  const giveUpAt = performance.now() + HAND_OVER_MS;
  for (;;) {
    const state = await replicateStreams(bus, WAIT);
    if (state.areWhole || performance.now() > giveUpAt) return state;
    await delay(LOOK_MS);
  }
}

/** Until no stream counts on that server, or too few others are there to take its place. */
async function untilHandedOver({ bus, system }: Cluster, name: string): Promise<void> {
  const giveUpAt = performance.now() + HAND_OVER_MS;
  while (performance.now() < giveUpAt) {
    const isMember = (await listMembers(system)).all.some((each) => each.name === name);
    const { areWhole, servers } = await replicateStreams(bus, WAIT);
    if (!isMember && areWhole && !servers.includes(name)) return;
    await delay(LOOK_MS);
  }
}

/** One server after the other: two that count at once could leave too few. */
async function inTurn<Result>(
  { bus, system }: Cluster,
  name: string,
  action: () => Promise<Result>,
): Promise<Result> {
  const register = await openNatsRegister(bus, TURNS, WAIT);
  try {
    const revision = await takeTurn(register, system, name);
    return await action().finally(() => register.delete(TURN, revision, WAIT));
  } finally {
    await register.close();
  }
}

async function takeTurn(register: Register, system: Bus, name: string): Promise<number> {
  const giveUpAt = performance.now() + TURN_MS;
  while (performance.now() < giveUpAt) {
    const revision = await register.create(TURN, name, WAIT);
    if (revision !== undefined) return revision;
    const holder = await register.get(TURN, WAIT);
    const { all } = await listMembers(system);
    const holds = all.some((each) => each.isThere && each.name === holder?.value);
    // It ended in its turn.
    if (holder !== undefined && !holds) await register.delete(TURN, holder.revision, WAIT);
    else await delay(LOOK_MS);
  }
  throw new BusUnavailableError('other servers leave, and take too long');
}

async function withCluster<Result>(
  server: Pick<ClusterServer, 'connection' | 'system'>,
  action: (cluster: Cluster) => Promise<Result>,
): Promise<Result> {
  const system = await connectNatsBus(server.system);
  try {
    const bus = await connectNatsBus(server.connection);
    try {
      return await action({ bus, system });
    } finally {
      await bus.close();
    }
  } finally {
    await system.close();
  }
}
