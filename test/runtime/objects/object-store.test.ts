import { mkdtemp, readdir, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { ObjectLostError, ObjectStoreFullError } from '../../../errors.ts';
import { ObjectStore, type ObjectStoreOptions } from '../../../runtime/objects/object-store.ts';
import { SpillFolder } from '../../../runtime/objects/spill-folder.ts';
import { createManualClock } from '../../support/manual-clock.ts';
import { waitUntil } from '../../support/process-watch.ts';

const LEASE_MS = 20_000;

async function createStore(t: ExecutionContext, changes: Partial<ObjectStoreOptions> = {}) {
  const parent = await mkdtemp(join(tmpdir(), 'object-store-test-'));
  const clock = createManualClock();
  const store = new ObjectStore({
    nodeId: 'here',
    clock,
    word: 'word',
    memoryBytesMax: 1_000,
    diskBytesMax: 1_000,
    chunkBytes: 64,
    folder: new SpillFolder(parent),
    heardSince: () => 0,
    ...changes,
  });
  t.teardown(async () => {
    await store.close();
    await rm(parent, { recursive: true, force: true });
  });
  const put = (fill: number, length = 400, holder = 'me') =>
    store.put(holder, LEASE_MS, length, () => new Uint8Array(length).fill(fill));
  const files = async (): Promise<readonly string[]> => {
    const [folder] = await readdir(parent);
    return folder === undefined ? [] : (await readdir(join(parent, folder))).map(inFolder(folder));
  };
  const inFolder = (folder: string) => (name: string) => join(parent, folder, name);
  return { store, clock, put, files, parent };
}

const foreign = (number: number, byteLength: number) =>
  ({ node: 'there', id: `other-${number}`, byteLength, chunkBytes: 64, crc32: 0 }) as const;

test('what was used least recently goes to disk, and its file with its last holder', async (t) => {
  const { store, put, files } = await createStore(t);
  const [a, b] = [await put(1), await put(2)];
  await store.read(a.id);
  const c = await put(3);
  t.deepEqual(
    store.list().map(({ id, where, spilled }) => ({ id, where, spilled })),
    [
      { id: b.id, where: 'disk', spilled: true },
      { id: a.id, where: 'memory', spilled: false },
      { id: c.id, where: 'memory', spilled: false },
    ],
  );
  t.is((await files()).length, 1);
  t.deepEqual(await store.read(b.id), Buffer.alloc(400, 2));
  t.true(store.memoryBytes <= 1_000);
  for (const { id } of [a, b, c]) store.release('me', [id]);
  t.is(store.memoryBytes, 0);
  await waitUntil(() => store.list().length === 0, 'an empty store');
});

test('two that are full, memory and disk, still exchange objects', async (t) => {
  const { store, put } = await createStore(t, { memoryBytesMax: 800, diskBytesMax: 800 });
  const addresses = [await put(0), await put(1), await put(2), await put(3)];
  for (let round = 0; round < 3; round += 1) {
    for (const [fill, { id }] of addresses.entries()) t.is((await store.read(id))[7], fill);
  }
  await t.throwsAsync(put(4), { instanceOf: ObjectStoreFullError, message: /800 of 800 bytes/ });
  t.is(store.list().length, 4);
});

test('a damaged file is never delivered: the object is lost and says why', async (t) => {
  const { store, put, files } = await createStore(t);
  const [a, b] = [await put(1), await put(2)];
  await put(3, 900);

  const [first, second] = await files();
  await writeFile(first!, new Uint8Array(400).fill(9));
  await truncate(second!, 100);
  for (const { id } of [a, b]) {
    const error = await t.throwsAsync(async () => await store.read(id), {
      instanceOf: ObjectLostError,
      message: /damaged on disk/,
    });
    t.is(error?.reason, 'damaged');
    // Known now, and said at once.
    t.throws(() => store.read(id), { instanceOf: ObjectLostError, message: /damaged/ });
  }
});

test('a disk that takes nothing is told of, and what is in memory stays', async (t) => {
  const { store, put } = await createStore(t, { folder: new SpillFolder('/dev/null/none') });
  const a = await put(1, 800);
  await t.throwsAsync(put(2), { instanceOf: ObjectStoreFullError, message: /could not be moved/ });
  t.is((await store.read(a.id))[0], 1);
  t.is(store.memoryBytes, 800);
});

test('a put that fails while its bytes arrive takes no room', async (t) => {
  const { store, put } = await createStore(t);
  const cut = new Error('cut off');
  await t.throwsAsync(
    store.put('me', LEASE_MS, 900, () => Promise.reject(cut)),
    { is: cut },
  );
  t.is(store.memoryBytes, 0);
  await put(1, 1_000);
  await t.throwsAsync(put(1, 1_001), { instanceOf: ObjectStoreFullError });
});

test('a put waits for the room that another one is about to take', async (t) => {
  const { store, put } = await createStore(t, { diskBytesMax: 2_000 });
  const arriving = Promise.withResolvers<Uint8Array>();
  const slow = store.put('me', LEASE_MS, 900, () => arriving.promise);
  const next = put(2, 900);
  arriving.resolve(new Uint8Array(900));
  const [first, second] = [await slow, await next];
  t.is(store.list().find(({ id }) => id === first.id)?.where, 'disk');
  t.is(store.list().find(({ id }) => id === second.id)?.where, 'memory');
});

test('a holder that is silent loses its lease, one that renews keeps it', async (t) => {
  const { store, clock, put } = await createStore(t);
  const [kept, lost] = [await put(1, 10), await put(2, 10)];
  for (let i = 0; i < 5; i += 1) {
    await clock.advance(5_000);
    store.hold('me', [kept.id], LEASE_MS);
  }
  t.deepEqual(
    store.list().map(({ id }) => id),
    [kept.id],
  );
  t.throws(() => store.read(lost.id), { instanceOf: ObjectLostError, message: /released/ });
});

test('silence counts only while holders could have been heard', async (t) => {
  let heardSince: number | undefined = 0;
  const { store, clock, put } = await createStore(t, { heardSince: () => heardSince });
  await put(1, 10);
  heardSince = undefined;
  await clock.advance(60_000);
  t.is(store.list().length, 1);
  heardSince = clock.now();
  await clock.advance(15_000);
  t.is(store.list().length, 1);
  await clock.advance(10_000);
  t.is(store.list().length, 0);
});

test('a ticket holds an object between its sender and its receiver', async (t) => {
  const { store, put } = await createStore(t);
  const { id } = await put(1, 10, 'sender');
  store.hold('sender/1', [id], 60_000);
  store.release('sender', [id]);
  store.hold('receiver', [id], LEASE_MS);
  store.release('sender/1', [id]);
  t.deepEqual(store.list()[0]?.holders, ['receiver']);
  store.releaseAll('receiver');
  t.deepEqual(store.list(), []);
});

test('many that want a copy bring it here once; an idle copy is dropped', async (t) => {
  const { store, clock } = await createStore(t);
  let fetches = 0;
  const fetch = async (): Promise<Uint8Array> => {
    fetches += 1;
    return new Uint8Array(300);
  };
  await Promise.all(Array.from({ length: 20 }, () => store.fetchOnce(foreign(1, 300), fetch)));
  await store.fetchOnce(foreign(1, 300), fetch);
  t.is(fetches, 1);
  t.is(store.memoryBytes, 300);
  await clock.advance(180_000);
  t.is(store.memoryBytes, 0);
});

test('copies make room without going to disk', async (t) => {
  const { store, put, files } = await createStore(t, { diskBytesMax: 0 });
  const own = await put(1, 500);
  await store.fetchOnce(foreign(1, 400), async () => new Uint8Array(400));
  await put(2, 300);
  t.deepEqual(
    store.list().map(({ owner, bytes }) => [owner, bytes]),
    [
      ['here', 500],
      ['here', 300],
    ],
  );
  t.is((await files()).length, 0);
  t.is((await store.read(own.id))[0], 1);
});
