import test, { type ExecutionContext } from 'ava';
import { ObjectStoreFullError } from '../../errors.ts';
import type { Handle, ObjectFacts, ObjectLimits, ObjectRef, System } from '../../runtime/index.ts';
import { collectGarbageUntil } from './garbage.ts';
import { type Keeper, keeper } from './object-actors.ts';
import { waitUntil } from './process-watch.ts';

const MB = 1 << 20;
const LIMITS: ObjectLimits = { memoryBytesMax: 25 * MB, diskBytesMax: 25 * MB };

/** Registers what objects must do, whatever carries them. Tests of one system run in turn. */
export function registerObjectContract(
  name: string,
  open: (objects: ObjectLimits) => Promise<System>,
): void {
  let system: System;
  test.before(async () => {
    system = await open(LIMITS);
  });
  test.after.always(() => system?.close());

  type Body = (t: ExecutionContext, system: System, actor: Handle<Keeper>) => Promise<void>;
  const objectTest = (title: string, body: Body) =>
    test.serial(`${name}: ${title}`, async (t) => {
      const actor = await system.spawn(keeper, {});
      await body(t, system, actor);
      await system.stop(actor);
      await waitUntil(() => system.objects().length === 0, 'all objects to be freed');
    });

  objectTest('what is put comes back with its types, handles included', async (t, s, actor) => {
    const floats = new Float32Array([1, Number.NaN, -0]);
    using ref = await s.put({ floats, nested: [{ big: 2n ** 60n, none: undefined }], actor });
    floats[0] = 5;
    const value = await s.get(ref);
    t.deepEqual(value.floats, new Float32Array([1, Number.NaN, -0]));
    t.deepEqual(value.nested, [{ big: 2n ** 60n, none: undefined }]);
    t.truthy((await value.actor.where()).pid);
  });

  objectTest('references travel in arguments, results and options', async (t, s, actor) => {
    using made = await actor.put(1_000_000);
    t.is((await s.get(made))[999_999], 999_999);
    t.is(await actor.sum(made), 499_999_500_000);
    await actor.keep(made);
    const [returned] = await actor.forward();
    t.is(returned?.id, made.id);
    returned?.release();
    using text = await s.put('an option');
    const created = await s.spawn(keeper, { ref: text });
    t.is(await created.getOption(), 'an option');
    await s.stop(created);
  });

  objectTest('a change of what was got reaches nobody else', async (t, s, actor) => {
    using ref = await s.put(new Uint8Array(3 * MB).fill(1));
    (await s.get(ref)).fill(9);
    const got = (await actor.get(ref)) as Uint8Array;
    t.is(got[2 * MB], 1);
    t.is((await s.get(ref))[2 * MB], 1);
  });

  objectTest('an object goes with its last reference, wherever that is', async (t, s, actor) => {
    const ref = await s.put('kept');
    await actor.keep(ref);
    ref.release();
    await t.throwsAsync(s.get(ref), { instanceOf: TypeError, message: /released already/ });
    await t.throwsAsync(actor.keep(ref), { instanceOf: TypeError, message: /released already/ });
    const [kept] = await actor.forward();
    t.is(await s.get(kept!), 'kept');
    kept!.release();
    t.is(s.objects().length, 1);
    await actor.forget();
    await waitUntil(() => s.objects().length === 0, 'the object to be freed');
  });

  objectTest(
    'an object holds what it refers to, as long as it is held itself',
    async (t, s, actor) => {
      const inner = await s.put(new Float64Array([1, 2, 3, 4]));
      const far = await actor.put(100_000);
      const middle = await s.put({ inner, far });
      const outer = (await actor.wrap(middle)) as ObjectRef<[typeof middle]>;
      for (const ref of [inner, far, middle]) ref.release();
      t.is(s.objects().length, 4);
      const [gotMiddle] = await s.get(outer);
      const got = await s.get(gotMiddle);
      outer.release();
      gotMiddle.release();
      t.deepEqual(await s.get(got.inner), new Float64Array([1, 2, 3, 4]));
      t.is(await actor.sum(got.far), 4_999_950_000);
      await waitUntil(() => s.objects().length === 2, 'outer and middle to be freed');
      for (const ref of [got.inner, got.far]) ref.release();
    },
  );

  objectTest('a chain of objects is freed from its head on', async (t, s) => {
    let head: ObjectRef<unknown> = await s.put('end');
    for (let length = 0; length < 2_000; length += 1) {
      head = await s.put({
        next: head.move(),
        filling: new Uint8Array(length % 2 === 0 ? 9 : 9_000),
      });
    }
    t.is(s.objects().length, 2_001);
    head.release();
    await waitUntil(() => s.objects().length === 0, 'the chain to be freed');
  });

  objectTest('a checkpoint keeps no reference', async (t, s, actor) => {
    using ref = await s.put('kept by nobody');
    await t.throwsAsync(actor.saveWith(ref), { message: /in a checkpoint.* save the value/ });
  });

  objectTest('a message on its way keeps what its sender releases', async (t, s, actor) => {
    const ref = await s.put(new Float64Array(200_000).fill(1));
    const summed = actor.sum(ref);
    ref.release();
    t.is(await summed, 200_000);
  });

  objectTest('many rounds of put, get and release leave nothing', async (t, s, actor) => {
    for (let round = 0; round < 1_000; round += 1) {
      using ref = round % 4 === 0 ? await actor.put(16) : await s.put(new Float64Array(16));
      if (round % 2 === 0) t.is((await s.get(ref)).length, 16);
      else t.is(await actor.sum(ref), 0);
    }
    await waitUntil(() => s.objects().length === 0, 'all objects to be freed');
    t.pass();
  });

  objectTest('what memory has no room for goes to disk and comes back', async (t, s, actor) => {
    const refs: ObjectRef<Uint8Array>[] = [];
    for (let i = 0; i < 6; i += 1) refs.push(await s.put(new Uint8Array(8 * MB).fill(i)));
    t.deepEqual(count(s.objects()), { memory: 3, disk: 3 });
    for (const [i, ref] of refs.entries()) t.is((await s.get(ref))[5 * MB], i);
    for (const [i, ref] of refs.entries()) t.is(((await actor.get(ref)) as Uint8Array)[1], i);
    await t.throwsAsync(s.put(new Uint8Array(9 * MB)), { instanceOf: ObjectStoreFullError });
    await t.throwsAsync(actor.put(9 * (MB / 8)), { instanceOf: ObjectStoreFullError });
    await t.throwsAsync(s.put(new Uint8Array(30 * MB)), { instanceOf: ObjectStoreFullError });
    t.is((await s.get(refs[0]!))[0], 0);
    for (const ref of refs) ref.release();
  });

  objectTest('a reference that is collected as garbage releases its object', async (t, s) => {
    await (async () => void (await s.put('abandoned')))();
    t.true(await collectGarbageUntil(() => s.objects().length === 0));
  });

  objectTest('the end of an actor releases what it put and kept', async (t, s) => {
    const other = await s.spawn(keeper, {});
    using ref = await other.put(10);
    await other.keep(ref);
    await s.stop(other);
    await waitUntil(() => holders(s)?.length === 1, 'the stopped actor to hold nothing');
    t.deepEqual(
      await s.get(ref),
      new Float64Array(10).map((_, index) => index),
    );
  });

  objectTest('put and get refuse options that are none, by name', async (t, s) => {
    using ref = await s.put(new Uint8Array(8 * MB));
    const wrong: readonly (readonly [object, typeof TypeError | typeof RangeError, RegExp])[] = [
      [{ timeout: 1 }, TypeError, /^there is no object option timeout; valid are: timeoutMs, sig/],
      [{ signal: 'x' }, TypeError, /^object option signal must be an AbortSignal; got 'x'$/],
      [{ timeoutMs: '5' }, TypeError, /^object option timeoutMs must be .*; got '5'$/],
      [{ timeoutMs: 0 }, RangeError, /^object option timeoutMs must be .*; got 0$/],
    ];
    for (const [options, instanceOf, message] of wrong) {
      await t.throwsAsync(s.get(ref, options), { instanceOf, message });
      await t.throwsAsync(s.put(1, options), { instanceOf, message });
    }
  });

  objectTest('put and get end with their signal', async (t, s) => {
    using ref = await s.put('value');
    const reason = new Error('enough');
    const signal = AbortSignal.abort(reason);
    await t.throwsAsync(s.get(ref, { signal }), { is: reason });
    await t.throwsAsync(s.put('other', { signal }), { is: reason });
    const late = new AbortController();
    const large = await s.put(new Uint8Array(8 * MB));
    const reading = s.get(large, { signal: late.signal });
    late.abort(reason);
    await t.throwsAsync(reading, { is: reason });
    large.release();
  });
}

function count(objects: readonly ObjectFacts[]): Record<string, number> {
  return Object.fromEntries(
    Object.entries(Object.groupBy(objects, ({ where }) => where)).map(([where, list]) => [
      where,
      list.length,
    ]),
  );
}

function holders(system: System): readonly string[] | undefined {
  return system.objects()[0]?.holders;
}
