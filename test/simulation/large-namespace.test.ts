import test from 'ava';
import {
  createSimulation,
  defineActor,
  type SimulatedHost,
  type Simulation,
} from '../../runtime/index.ts';
import { Idler, idler } from './idler.ts';

const HOSTS = 40;
const WATCHED_MAX = 8;
/** Heartbeats of 1 s; groups shrink by one bit at a time. */
const SETTLE_MS = 20_000;

/** Only few hosts have it. */
const rare = defineActor({
  type: 'simulation/rare',
  module: import.meta.url,
  methods: { answer: 'idempotent' },
  create: () => new Idler(),
});

/** Each host watches a part of the others; those of `rareOn` can have rare actors. */
async function createNamespace(seed: number, rareOn: readonly number[] = []) {
  const simulation = createSimulation({ seed });
  const hosts: SimulatedHost[] = [];
  for (let index = 0; index < HOSTS; index += 1) {
    const actors = rareOn.includes(index) ? [idler, rare] : [idler];
    const labels = { place: `p${index}` };
    const options = { name: `n${index}`, actors, isolation: 'inline', labels } as const;
    hosts.push(await simulation.startHost({ ...options, watchedNodesMax: WATCHED_MAX }));
  }
  await simulation.runFor(SETTLE_MS);
  return { simulation, hosts };
}

function known({ system }: SimulatedHost): readonly string[] {
  return system.nodes().map(({ nodeId }) => nodeId);
}

test.serial('a host of a large namespace finds those that it does not watch', async (t) => {
  const { simulation, hosts } = await createNamespace(1);
  const [here] = hosts as [SimulatedHost];
  t.true(known(here).length <= WATCHED_MAX + 1, known(here).join());
  const watched = new Set(known(here));
  const far = hosts.find(({ name }) => !watched.has(name))!;

  const place = { requiredLabels: { place: `p${far.name.slice(1)}` } };
  const spawned = here.system.spawn(idler, undefined, { placement: place });
  const handle = await simulation.run(spawned);
  t.is(await simulation.run(handle.answer()), 42);
  t.is((await simulation.run(far.system.inspectNode())).hosted.length, 1);

  const { nodes, silent } = await simulation.run(here.system.inspect());
  t.deepEqual([nodes.length, silent.length], [HOSTS, 0]);

  const nobody = { placement: { requiredLabels: { place: 'nowhere' } } };
  const refused = simulation.run(here.system.spawn(idler, undefined, nobody));
  const error = await t.throwsAsync(refused, { code: 'PLACEMENT' });
  t.is(error!.message.match(/, place=nowhere is required/g)!.length, 20, 'some with their reasons');
  t.regex(error!.message, new RegExp(`and ${HOSTS - 20} more reasons$`));
});

test.serial('spread uses every host of a large namespace', async (t) => {
  const { simulation, hosts } = await createNamespace(2);
  const { system } = hosts[0]!;
  for (let actor = 0; actor < HOSTS; actor += 1) {
    await simulation.run(system.spawn(idler, undefined, { placement: 'spread' }));
  }
  t.deepEqual(await countHosted(simulation, hosts), Array(HOSTS).fill(1));
});

test.serial(
  'an actor on a host that its owner did not watch is placed again within 6 s',
  async (t) => {
    const { simulation, hosts } = await createNamespace(3);
    const owner = hosts[0]!;
    const watched = new Set(known(owner));
    const far = hosts.find(({ name }) => !watched.has(name))!;
    const wish = { preferredLabels: { place: `p${far.name.slice(1)}` } };
    await simulation.run(owner.system.spawn(idler, undefined, { placement: wish }));
    await simulation.runFor(SETTLE_MS);
    t.is((await simulation.run(far.system.inspectNode())).hosted.length, 1);
    let restartedAt = 0;
    owner.system.onActorEvent(({ event }) => {
      if (event === 'restarted') restartedAt = simulation.nowMs;
    });
    const crashedAt = simulation.nowMs;
    far.crash(60_000);
    await simulation.runUntil(() => restartedAt > 0, { withinMs: 6_000 });
    t.true(restartedAt > crashedAt);
  },
);

test.serial('actors of an owner that was not watched end when it dies', async (t) => {
  const { simulation, hosts } = await createNamespace(4);
  const owner = hosts[0]!;
  const watched = new Set(known(owner));
  const far = hosts.find(({ name }) => !watched.has(name))!;
  const place = { requiredLabels: { place: `p${far.name.slice(1)}` } };
  await simulation.run(owner.system.spawn(idler, undefined, { placement: place }));
  owner.crash(60_000);
  await simulation.runFor(30_000);
  t.is((await simulation.run(far.system.inspectNode())).hosted.length, 0);
});

test.serial('a detached actor is taken up by a host that did not watch its node', async (t) => {
  // Whom the first host watches depends on the names alone.
  const watched = new Set(known((await createNamespace(5)).hosts[0]!));
  const indexes = Array.from({ length: HOSTS }, (_, index) => index);
  const taker = indexes.find((index) => !watched.has(`n${index}`))!;
  const { simulation, hosts } = await createNamespace(5, [0, taker]);
  const options = { name: 'rare', lifetime: 'detached' } as const;
  const handle = await simulation.run(hosts[0]!.system.spawn(rare, undefined, options));
  await simulation.run(handle.answer());
  hosts[0]!.crash(60_000);
  const found = await simulation.run(hosts[1]!.system.get(rare, 'rare'));
  t.is(await simulation.run(found!.answer(), { withinMs: 21_000 }), 42);
  t.is((await simulation.run(hosts[taker]!.system.inspectNode())).hosted.length, 1);
});

test.serial('a host that was not watched can be drained', async (t) => {
  const { simulation, hosts } = await createNamespace(6);
  const here = hosts[0]!;
  const watched = new Set(known(here));
  const far = hosts.find(({ name }) => !watched.has(name))!;
  far.system.onLeaveRequest((timeoutMs) => {
    void far.system.drain({ timeoutMs }).then(() => far.system.close());
  });
  await simulation.run(here.system.waitForNodes(HOSTS, { timeoutMs: 1_000 }));
  await simulation.run(here.system.drainNode(far.name, { timeoutMs: 10_000 }));
  t.false(far.alive);
});

async function countHosted(simulation: Simulation, hosts: readonly SimulatedHost[]) {
  const inspected = Promise.all(hosts.map(({ system }) => system.inspectNode()));
  return (await simulation.run(inspected)).map(({ hosted }) => hosted.length);
}
