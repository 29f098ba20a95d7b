import test, { type ExecutionContext } from 'ava';
import { ActorDiedError, DeadlineError, QueueClosedError } from '../../errors.ts';
import {
  type ActorChange,
  ActorPool,
  createQueue,
  type OwnedHandle,
  type System,
  watch,
} from '../../runtime/index.ts';
import { type Keeper, keeper } from './keeper-actor.ts';
import { counter } from './test-actors.ts';

/** Registers what time, death, children, pools and queues must do, wherever the actors live. */
export function registerLifeContract(
  name: string,
  open: () => Promise<System>,
  { isolated }: { readonly isolated: boolean },
): void {
  let system: System;
  test.before(async () => {
    system = await open();
  });
  test.after.always(() => system?.close());

  type Body = (t: ExecutionContext, actor: OwnedHandle<Keeper>) => Promise<void>;
  const keeperTest = (title: string, body: Body) =>
    test(`${name}: ${title}`, async (t) => {
      await using actor = await system.spawn(keeper, undefined, { restartBackoffMs: 1 });
      await body(t, actor);
    });

  keeperTest('a timer takes its turn among the calls', async (t, actor) => {
    await actor.noteLater('timer', 1);
    // The timer is due while this call has the mailbox; the next one came after it.
    const staying = actor.stay(50);
    await Promise.all([staying, actor.note('call')]);
    const notes = await actor.notes();
    t.true(notes.indexOf('timer') >= 0);
    t.not(notes.indexOf('stayed'), notes.length - 1);
  });

  keeperTest('a periodic timer comes again until it is cancelled', async (t, actor) => {
    t.is(await actor.ticks(5), 5);
  });

  keeperTest('what a timer throws ends this life with its cause', async (t, actor) => {
    const changes = watch(actor);
    t.is((await changes.next()).value?.event, 'running');
    await actor.failLater();
    const { value } = await changes.next();
    t.is(value?.event, 'restarting');
    t.regex((value as ActorChange).cause?.message ?? '', /the timer failed/);
    await changes.return?.();
  });

  keeperTest('a reminder is delivered once and is gone', async (t, actor) => {
    await actor.remindLater('tea', 1, undefined);
    await eventually(async () => (await actor.notes()).length > 0);
    t.deepEqual(await actor.notes(), ['tea in life 1: {"saved":1}']);
    t.deepEqual(await actor.reminders(), []);
    await actor.remindLater('never', 1_000_000, undefined);
    t.true(await actor.forget('never'));
    t.false(await actor.forget('never'));
  });

  keeperTest('a reminder outlives the life that set it', async (t, actor) => {
    // It comes again, so that the next life sees it however late that begins.
    await actor.remindLater('later', 500, 500);
    await actor.remindLater('often', 1_000_000, 1_000_000);
    await actor.failLater();
    await eventually(async () => (await actor.epoch()) === 2);
    t.true((await actor.reminders()).includes('often'));
    await eventually(async () => (await actor.notes()).length > 0);
    t.is((await actor.notes())[0], 'later in life 2: {"saved":1}');
  });

  keeperTest('a handle in a checkpoint calls its actor in the next life', async (t, actor) => {
    await using friend = await system.spawn(counter, { start: 1 });
    await actor.befriend(friend);
    t.is(await actor.addToFriend(1), 2);
    await actor.failLater();
    await eventually(async () => (await actor.epoch()) === 2);
    t.is(await actor.addToFriend(1), 3);
    await system.stop(friend);
    await t.throwsAsync(actor.addToFriend(1), { instanceOf: ActorDiedError });
  });

  test(`${name}: leaving the scope of an owned handle stops the actor`, async (t) => {
    let ended: Promise<unknown>;
    {
      await using actor = await system.spawn(counter, {});
      ended = watch(actor).ended;
      await actor.add(1);
    }
    t.like(await ended, { kind: 'stopped' });
  });

  keeperTest('an actor learns of the death of another, with its cause', async (t, actor) => {
    const other = await system.spawn(counter, {});
    const mourning = actor.mourn(other);
    await actor.notes();
    await system.stop(other);
    t.is(await mourning, 'it was stopped');
    // Also when it was dead before.
    t.is(await actor.mourn(other), 'it was stopped');
  });

  keeperTest('a child answers, and ends when its parent drops it', async (t, actor) => {
    const child = await actor.spawnChild(`${name}-dropped`);
    t.is(await child.add(1), 8);
    t.false(Symbol.asyncDispose in child);
    await actor.dropChild();
    t.like(await watch(child).ended, { kind: 'stopped' });
  });

  keeperTest('a child of an actor that is stopped says so', async (t, actor) => {
    const child = await actor.spawnChild(`${name}-bereft`);
    await child.add(1);
    await system.stop(actor);
    t.like(await watch(child).ended, {
      kind: 'stopped',
      message: 'its parent ended: it was stopped',
    });
  });

  keeperTest('a child ends with the life of its parent', async (t, actor) => {
    const child = await actor.spawnChild(`${name}-child`);
    await child.add(1);
    await actor.failLater();
    const why = /^its parent ended: .*the timer failed/;
    t.regex((await watch(child).ended).message, why);
    // The next life can have one of that name.
    await eventually(async () => (await actor.epoch()) === 2);
    const next = await actor.spawnChild(`${name}-child`);
    t.is(await next.add(1), 8);
  });

  if (isolated) {
    keeperTest('a child ends when its parent is killed', async (t, actor) => {
      const child = await actor.spawnChild(`${name}-orphan`);
      await t.throwsAsync(actor.exit(9), { instanceOf: ActorDiedError });
      const ended = await watch(child).ended;
      t.is(ended.kind, 'stopped');
      t.regex(ended.message, /^its parent ended: its process .* exited with code 9$/);
    });
  }

  test(`${name}: a pool deals tasks out and keeps their order, or not`, async (t) => {
    const actors = await Promise.all([1, 2].map(() => system.spawn(counter, {})));
    await using pool = new ActorPool(actors);
    const inputs = Array.from({ length: 20 }, (_, index) => index);
    const ordered: number[] = [];
    for await (const value of pool.map(inputs, (actor, input) => actor.echo(input))) {
      ordered.push(value as number);
    }
    t.deepEqual(ordered, inputs);
    const loose: number[] = [];
    const options = { ordered: false };
    for await (const value of pool.map(inputs, (actor, input) => actor.echo(input), options)) {
      loose.push(value as number);
    }
    t.deepEqual(
      loose.sort((a, b) => a - b),
      inputs,
    );
    await Promise.all(actors.map((actor) => system.stop(actor)));
  });

  test(`${name}: a pool replaces the dead, and fails with their cause when nobody is left`, async (t) => {
    const first = await system.spawn(counter, {});
    let second: OwnedHandle<object> | undefined;
    await using pool = new ActorPool([first], {
      replacementsMax: 1,
      replace: async () => {
        const actor = await system.spawn(counter, { start: 100 });
        second = actor;
        return actor;
      },
    });
    t.is(await pool.submit((actor) => actor.add(1)), 1);
    await system.stop(first);
    await watch(first).ended;
    t.is(await pool.submit((actor) => actor.add(1)), 101);
    await system.stop(second!);
    await watch(second!).ended;
    await t.throwsAsync(
      pool.submit((actor) => actor.add(1)),
      {
        instanceOf: ActorDiedError,
        message: /no actor of the pool is left; .* it was stopped/,
      },
    );
  });

  keeperTest('a queue passes items in order, with backpressure, to its end', async (t, actor) => {
    await using queue = await createQueue<number>(system, { itemsMax: 3 });
    const feeding = actor.feed(queue.handle, 50);
    const items: number[] = [];
    for await (const item of queue) {
      items.push(item);
      t.true((await queue.size()) <= 3);
    }
    await feeding;
    t.deepEqual(
      items,
      Array.from({ length: 50 }, (_, index) => index),
    );
    await t.throwsAsync(queue.put(1), { instanceOf: QueueClosedError });
    t.deepEqual(await queue.get(), { done: true });
  });

  test(`${name}: putting into a full queue and taking from an empty one have deadlines`, async (t) => {
    await using queue = await createQueue<string>(system, { itemsMax: 1 });
    await t.throwsAsync(queue.get({ timeoutMs: 20 }), { instanceOf: DeadlineError });
    await queue.put('first');
    await t.throwsAsync(queue.put('second', { timeoutMs: 20 }), { instanceOf: DeadlineError });
    t.deepEqual(await queue.get(), { done: false, item: 'first' });
    t.is(await queue.size(), 0);
  });
}

/** Asks again and again; the test's own time-out is the limit. */
async function eventually(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds().catch(() => false)))
    await new Promise((resolve) => setTimeout(resolve, 5));
}
