import test, { type ExecutionContext } from 'ava';
import { DeadlineError, MailboxFullError, RemoteError, UnknownMethodError } from '../../errors.ts';
import { type Handle, type System, withCallOptions } from '../../runtime/index.ts';
import { gate } from './gate-actor.ts';
import { type Counter, type CounterOptions, counter } from './test-actors.ts';

/** Registers what calls and streams must do, wherever the actor lives. */
export function registerActorContract(name: string, open: () => Promise<System>): void {
  let system: System;
  test.before(async () => {
    system = await open();
  });
  test.after.always(() => system?.close());

  type Body = (t: ExecutionContext, actor: Handle<Counter>) => Promise<void>;
  const actorTest = (title: string, body: Body, options: CounterOptions = {}) =>
    test(`${name}: ${title}`, async (t) => {
      const actor = await system.spawn(counter, options, { mailboxMessagesMax: 8 });
      await body(t, actor);
      await system.stop(actor);
    });

  actorTest('a call brings what the method returns', async (t, actor) => {
    t.is(await actor.add(5), 5);
    t.is(await actor.read(), 5);
  });

  actorTest('values keep their types, typed arrays and undefined included', async (t, actor) => {
    const value = {
      floats: new Float32Array([1, Number.NaN, -0]),
      bytes: new Uint8Array([1, 2, 3]),
      nested: [{ big: 2n ** 60n, nothing: undefined, text: 'é' }],
    };
    t.deepEqual(await actor.echo(value), value);
    t.is(await actor.echo(undefined), undefined);
  });

  actorTest('values over the payload limit pass both ways', async (t, actor) => {
    const large = new Float64Array(1_500_000).map((_, index) => index);
    const echoed = (await actor.echo({ large, tail: 'end' })) as {
      large: Float64Array;
      tail: string;
    };
    t.is(
      Buffer.compare(
        Buffer.from(echoed.large.buffer, echoed.large.byteOffset),
        Buffer.from(large.buffer),
      ),
      0,
    );
    t.is(echoed.tail, 'end');
  });

  actorTest('calls of one caller run one at a time, in order', async (t, actor) => {
    const texts = Array.from({ length: 8 }, (_, index) => `${index}`);
    await Promise.all(texts.map((text) => actor.note(text)));
    t.deepEqual(await actor.noted(), texts);
  });

  actorTest(
    'an error of the method arrives with name, message, code and stack',
    async (t, actor) => {
      const error = await t.throwsAsync(actor.fail('no such number'), { instanceOf: RemoteError });
      t.is(error.message, 'no such number');
      t.is(error.remoteName, 'RangeError');
      t.is(error.remoteCode, 'E_TEST');
      t.regex(error.remoteStack ?? '', /Counter\.fail/);
    },
  );

  actorTest('an undeclared method is refused by name', async (t, actor) => {
    const loose = actor as unknown as { forget(): Promise<void>; checkpoint(): Promise<void> };
    await t.throwsAsync(loose.forget(), { instanceOf: UnknownMethodError, message: /"forget"/ });
    await t.throwsAsync(loose.checkpoint(), { instanceOf: UnknownMethodError });
  });

  actorTest('what can not be sent rejects the call and harms no later one', async (t, actor) => {
    await t.throwsAsync(
      actor.echo(() => 1),
      { instanceOf: TypeError },
    );
    t.is(await actor.add(1), 1);
  });

  actorTest('a full mailbox answers so at once', async (t, actor) => {
    const running = actor.wait();
    const waiting = Array.from({ length: 8 }, () => actor.add(1));
    await t.throwsAsync(actor.add(1), { instanceOf: MailboxFullError, message: /8 calls waiting/ });
    await drainOne(actor);
    t.is(await running, 'released');
    // Eight by add, one by the stream.
    t.is((await Promise.all(waiting)).at(-1), 9);
  });

  actorTest('a call past its deadline rejects and aborts the method', async (t, actor) => {
    const hasty = withCallOptions(actor, { timeoutMs: 50 });
    // Both sides watch the clock; whichever is first tells.
    await t.throwsAsync(hasty.wait(), { instanceOf: DeadlineError });
    t.regex((await actor.noted()).join(), /wait aborted/);
  });

  actorTest("the caller's signal reaches the method", async (t, actor) => {
    const controller = new AbortController();
    const waiting = withCallOptions(actor, { signal: controller.signal }).wait();
    const reason = new Error('no longer wanted');
    setImmediate(() => controller.abort(reason));
    t.is(await t.throwsAsync(waiting), reason);
    t.regex((await actor.noted()).join(), /wait aborted/);
  });

  actorTest('a handle passed as an argument can be called', async (t, actor) => {
    const other = await system.spawn(counter, { start: 10 });
    t.is(await actor.callOther(other, 5), 1015);
    t.is(await other.read(), 15);
    await system.stop(other);
  });

  actorTest('a stream brings all items in order', async (t, actor) => {
    const items: number[] = [];
    for await (const item of actor.count(100)) items.push(item);
    t.deepEqual(
      items,
      Array.from({ length: 100 }, (_, index) => index),
    );
  });

  actorTest('a stream runs ahead of its reader by its credit at most', async (t, actor) => {
    const stream = withCallOptions(actor, { streamItemsMax: 4 }).count(100)[Symbol.asyncIterator]();
    t.is((await stream.next()).value, 0);
    t.true((await actor.read()) <= 4 + 2);
    await stream.return?.();
  });

  actorTest('leaving a stream early ends it at the actor', async (t, actor) => {
    for await (const item of actor.count(1_000_000)) if (item === 3) break;
    // The cancel went out before this call, on the same way.
    while (!(await actor.noted()).includes('stream ended')) t.true((await actor.read()) < 100);
    t.pass();
  });

  actorTest('large items of a stream arrive whole', async (t, actor) => {
    const sums: number[] = [];
    for await (const item of actor.large(3, 2_500_000)) sums.push(item.length + item.at(-1)!);
    t.deepEqual(sums, [2_500_000, 2_500_001, 2_500_002]);
  });

  actorTest('an error ends a stream after its items', async (t, actor) => {
    const items: number[] = [];
    const reading = (async () => {
      for await (const item of actor.failing(3)) items.push(item);
    })();
    await t.throwsAsync(reading, { instanceOf: RemoteError, message: 'the stream broke' });
    t.deepEqual(items, [0, 1, 2]);
  });

  actorTest('a stream that brings nothing in time rejects', async (t, actor) => {
    const stream = withCallOptions(actor, { timeoutMs: 50 }).silent()[Symbol.asyncIterator]();
    await t.throwsAsync(stream.next(), { instanceOf: DeadlineError });
    t.deepEqual(await stream.next(), { done: true, value: undefined });
  });

  test(`${name}: groups run beside each other, each within its limit`, async (t) => {
    const actor = await system.spawn(gate, undefined);
    const held = ['a', 'b', 'c'].map((call) => actor.holdPair(call));
    const outside = actor.hold('outside');
    // `began` is of a group of its own, and came after all of these.
    t.deepEqual(await actor.began(), ['a', 'b', 'outside']);
    await actor.release('b');
    t.is(await held[1], 'b');
    t.deepEqual(await actor.began(), ['a', 'b', 'outside', 'c']);
    for (const call of ['a', 'c', 'outside']) t.true(await actor.release(call));
    t.deepEqual(await Promise.all([...held, outside]), ['a', 'b', 'c', 'outside']);
    await system.stop(actor);
  });

  test(`${name}: with maxConcurrency calls begin in order and end in any`, async (t) => {
    const actor = await system.spawn(gate, undefined, { maxConcurrency: 3 });
    const held = ['a', 'b', 'c', 'd'].map((call) => actor.hold(call));
    t.deepEqual(await actor.began(), ['a', 'b', 'c']);
    await actor.release('c');
    t.is(await held[2], 'c');
    t.deepEqual(await actor.began(), ['a', 'b', 'c', 'd']);
    for (const call of ['d', 'a', 'b']) await actor.release(call);
    t.deepEqual(await Promise.all(held), ['a', 'b', 'c', 'd']);
    await system.stop(actor);
  });

  test(`${name}: an actor can be placed beside another, and not beside a dead one`, async (t) => {
    const first = await system.spawn(gate, undefined, { name: 'first-gate' });
    const placement = { beside: first };
    const second = await system.spawn(gate, undefined, { placement });
    await system.stop(first);
    await t.throwsAsync(system.spawn(gate, undefined, { placement }), {
      code: 'PLACEMENT',
      message: /first-gate that it must be beside is dead/,
    });
    await system.stop(second);
  });

  test(`${name}: what create throws rejects the spawn`, async (t) => {
    await t.throwsAsync(system.spawn(counter, { fail: 'throw' }), {
      message: /refuses to be made/,
    });
  });

  test(`${name}: a stopped actor answers that it was stopped`, async (t) => {
    const actor = await system.spawn(counter, {});
    await system.stop(actor);
    await t.throwsAsync(actor.read(), { code: 'ACTOR_DIED', message: /it was stopped/ });
  });
}

/** `wait` of the counter ends when a stream of it does; streams run beside calls. */
async function drainOne(actor: Handle<Counter>): Promise<void> {
  for await (const _item of actor.count(1)) {
    // Reading to the end releases the waiting call.
  }
}
