import test from 'ava';
import type { HostProcesses } from '../../../runtime/nodes/host-process.ts';
import {
  awaitGone,
  isKnownGone,
  type NodeLife,
  type NodeState,
  Registration,
} from '../../../runtime/nodes/registration.ts';
import { Suspects } from '../../../runtime/nodes/suspects.ts';
import { createMemoryRegister } from '../../../runtime/registry/memory-register.ts';
import type { Register } from '../../../runtime/registry/register.ts';
import { createManualClock, type ManualClock } from '../../support/manual-clock.ts';

interface Registered {
  readonly registration: Registration;
  readonly reclaimed: number[];
  replaced: boolean;
}

interface Wishes {
  readonly nodeId?: string;
  readonly processes?: HostProcesses;
  readonly life?: NodeLife;
}

let marks = 0;

async function stateOf(...looks: Parameters<typeof awaitGone>): Promise<NodeState> {
  return (await awaitGone(...looks)).state;
}

async function enter(
  register: Register,
  clock: ManualClock,
  { nodeId = 'a', processes, life }: Wishes = {},
): Promise<Registered> {
  marks += 1;
  const reclaimed: number[] = [];
  const registration = new Registration({
    register,
    clock,
    nodeId,
    nodeName: nodeId,
    mark: `process-${marks}`,
    shared: true,
    processes,
    life,
    reclaim: async () => void reclaimed.push(registration.epoch),
    onReplaced: () => {
      entered.replaced = true;
    },
    log: () => {},
  });
  const entered = { registration, reclaimed, replaced: false };
  await registration.enter();
  return entered;
}

/** A register that is away when it is told so. */
function withOutage(register: Register): Register & { away: boolean } {
  return Object.assign(Object.create(register) as Register, {
    away: false,
    get(this: { away: boolean }, ...args: Parameters<Register['get']>) {
      return this.away ? Promise.reject(new Error('away')) : register.get(...args);
    },
    create: register.create.bind(register),
    update(this: { away: boolean }, ...args: Parameters<Register['update']>) {
      return this.away ? Promise.reject(new Error('away')) : register.update(...args);
    },
    delete: register.delete.bind(register),
  });
}

test('a node that beats is never gone, one that stops is after its lease', async (t) => {
  const [register, clock] = [createMemoryRegister(), createManualClock()];
  const { registration } = await enter(register, clock);
  await registration.hold();
  const looks = { register, clock };
  const early = stateOf(looks, 'a', registration.epoch);
  await clock.advance(30_000);
  t.is(await early, 'alive');
  t.true(registration.remainingMs > 0);
});

test('a node cut off from the register has lost its lease before anybody fences it', async (t) => {
  const held = createMemoryRegister();
  const [register, clock] = [withOutage(held), createManualClock()];
  const { registration, reclaimed } = await enter(register, clock);
  await registration.hold();
  const first = registration.epoch;
  register.away = true;
  let gone = false;
  void stateOf({ register: held, clock }, 'a', first).then((is) => {
    gone = is !== 'alive';
  });
  let actedUntil = 0;
  while (!gone) {
    if (registration.remainingMs > 0) actedUntil = clock.now();
    await clock.advance(100);
  }
  t.true(actedUntil < clock.now() - 200, `acted until ${actedUntil}, fenced at ${clock.now()}`);
  register.away = false;
  await clock.advance(5_000);
  t.deepEqual(reclaimed, [registration.epoch]);
  t.true(registration.epoch > first, 'it comes back under a later epoch');
  t.true(registration.remainingMs > 0);
});

test('an outage that hits everybody costs nobody anything', async (t) => {
  const [register, clock] = [withOutage(createMemoryRegister()), createManualClock()];
  const { registration, reclaimed } = await enter(register, clock);
  await registration.hold();
  register.away = true;
  await clock.advance(30_000);
  t.true(registration.remainingMs <= 0);
  register.away = false;
  const gone = stateOf({ register, clock }, 'a', registration.epoch);
  await clock.advance(15_000);
  t.is(await gone, 'alive');
  t.deepEqual(reclaimed, []);
  t.true(registration.remainingMs > 0);
});

test('a later incarnation of a node replaces the earlier one', async (t) => {
  const [register, clock] = [createMemoryRegister(), createManualClock()];
  const first = await enter(register, clock);
  await first.registration.hold();
  const second = await enter(register, clock);
  t.true(second.registration.epoch > first.registration.epoch);
  t.is(await stateOf({ register, clock }, 'a', first.registration.epoch), 'ended');
  await clock.advance(5_000);
  t.true(first.replaced);
  t.true(first.registration.remainingMs <= 0);
});

test('several that wait for one node all learn that it is gone', async (t) => {
  const [held, clock] = [createMemoryRegister(), createManualClock()];
  const register = withOutage(held);
  const { registration } = await enter(register, clock);
  await registration.hold();
  register.away = true;
  const looks = [1, 2, 3].map(() => stateOf({ register: held, clock }, 'a', registration.epoch));
  await clock.advance(20_000);
  t.deepEqual(await Promise.all(looks), ['lapsed', 'lapsed', 'lapsed']);
});

test('a register that is away does not hold up a node that leaves', async (t) => {
  const held = createMemoryRegister();
  const [register, clock] = [withOutage(held), createManualClock()];
  const { registration } = await enter(register, clock);
  await registration.hold();
  const stuck = Promise.withResolvers<undefined>();
  register.update = () => stuck.promise;
  await clock.advance(3_000);
  const closed = registration.close();
  await clock.advance(1_000);
  await closed;
  t.is(await held.get('nodes.a', { timeoutMs: 1 }), undefined);
  stuck.resolve(undefined);
});

test('a node that leaves is gone at once', async (t) => {
  const [register, clock] = [createMemoryRegister(), createManualClock()];
  const { registration } = await enter(register, clock);
  await registration.hold();
  await registration.close();
  t.is(await stateOf({ register, clock }, 'a', registration.epoch), 'left');
});

test('the time in which a node was suspected counts, so that it is fenced when its lease is over', async (t) => {
  const [held, clock] = [createMemoryRegister(), createManualClock()];
  const register = withOutage(held);
  const { registration } = await enter(register, clock);
  await registration.hold();
  await clock.advance(2_100);
  register.away = true;
  const suspects = new Suspects({ register: held, clock, isSilent: () => true });
  suspects.watch('a');
  await clock.advance(3_000);
  t.true(registration.remainingMs > 0);
  const sightingOf = (nodeId: string) => suspects.sightingOf(nodeId);
  const gone = stateOf({ register: held, clock, sightingOf }, 'a', registration.epoch);
  await clock.advance(1_000);
  t.is(await gone, 'lapsed');
  t.true(registration.remainingMs <= 0);
});

test('an earlier life of what one is a later life of is gone at once, and a later one is not', async (t) => {
  const [register, clock] = [createMemoryRegister(), createManualClock()];
  let vouchedMs = 500;
  const life = (epoch: number) => ({ actor: 'job-x', epoch, remainingMs: () => vouchedMs });
  const { registration } = await enter(register, clock, { life: life(2) });
  await registration.hold();
  t.is(registration.remainingMs, 500, 'it acts no longer than its actor');
  vouchedMs = -1;
  t.true(registration.remainingMs <= 0);
  const looks = { register, clock };
  const isGone = (epoch: number) =>
    isKnownGone(looks, { processes: undefined, life: life(epoch) }, 'a', registration.epoch);
  t.false(await isGone(1));
  t.false(await isGone(2));
  t.true(await isGone(3));
  t.is(await stateOf(looks, 'a', registration.epoch), 'lapsed', 'others see it too');
});

// Seed 155 of the jobs: the next life was told that the name is taken, and the job failed.
test('an earlier life that writes a beat just as it is fenced off is gone all the same', async (t) => {
  const [register, clock] = [createMemoryRegister(), createManualClock()];
  const life = (epoch: number) => ({ actor: 'job-x', epoch, remainingMs: () => -1 });
  const { registration } = await enter(register, clock, { life: life(2) });
  await registration.hold();
  let beats = 0;
  const looked: Register = Object.assign(Object.create(register) as Register, {
    async get(...args: Parameters<Register['get']>) {
      const entry = await register.get(...args);
      if (beats === 0) await clock.advance(1_000);
      beats += 1;
      return entry;
    },
    update: register.update.bind(register),
  });
  const proofs = { processes: undefined, life: life(3) };
  t.true(await isKnownGone({ register: looked, clock }, proofs, 'a', registration.epoch));
  t.is(beats, 2, 'it looked again');
});

test('a node whose processes have ended is gone at once, unless it gave its word elsewhere', async (t) => {
  const [register, clock] = [createMemoryRegister(), createManualClock()];
  const own = { host: 'here', pid: 1, startedAt: '1' };
  let ended = false;
  const processes = { own, haveEnded: async () => ended };
  const [a, b] = [
    await enter(register, clock, { processes }),
    await enter(register, clock, { nodeId: 'b', processes }),
  ];
  for (const { registration } of [a, b]) await registration.hold();
  await b.registration.lend();
  const looks = { register, clock };
  const isGone = (nodeId: string, { registration }: Registered) =>
    isKnownGone(looks, { processes, life: undefined }, nodeId, registration.epoch);
  t.false(await isGone('a', a));
  ended = true;
  t.true(await isGone('a', a));
  t.false(await isGone('b', b));
});

test('no actor is lent before that is written', async (t) => {
  const [register, clock] = [withOutage(createMemoryRegister()), createManualClock()];
  const { registration } = await enter(register, clock);
  await registration.hold();
  register.away = true;
  await t.throwsAsync(registration.lend(), { code: 'DEADLINE' });
  register.away = false;
  await registration.lend();
  t.like((await register.get('nodes.a', { timeoutMs: 1 }))?.value, { lent: true });
});
