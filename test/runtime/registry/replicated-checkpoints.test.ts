import test from 'ava';
import { DamagedDataError } from '../../../errors.ts';
import { connectNatsBus } from '../../../runtime/bus/connect-nats.ts';
import { createMemoryRegister } from '../../../runtime/registry/memory-register.ts';
import { openNatsCheckpoints } from '../../../runtime/registry/open-register.ts';
import {
  type ChunkStore,
  createReplicatedCheckpoints,
} from '../../../runtime/registry/replicated-checkpoints.ts';
import { startNatsServer } from '../../support/nats-server.ts';

function createScene() {
  const held = new Map<string, Uint8Array>();
  const chunks: ChunkStore = {
    chunkBytes: 4,
    async put(path, bytes) {
      held.set(path, bytes.slice());
    },
    async get(path) {
      const bytes = held.get(path);
      if (bytes === undefined) throw new DamagedDataError(`${path} is not there`);
      return bytes;
    },
    async remove(path) {
      for (const key of held.keys()) if (key.startsWith(`${path}.`)) held.delete(key);
    },
  };
  return { held, checkpoints: createReplicatedCheckpoints(createMemoryRegister(), chunks) };
}

const state = (text: string): Uint8Array => new Uint8Array(Buffer.from(text));

test('the last state is loaded, and of the earlier ones one is kept', async (t) => {
  const { held, checkpoints } = createScene();
  t.is(await checkpoints.load('a', 1), undefined);
  for (const text of ['first state', 'second', 'third one', '']) {
    await checkpoints.save('a', 1, state(text));
    t.deepEqual(await checkpoints.load('a', 1), state(text));
  }
  t.deepEqual(
    [...held.values()].map((bytes) => Buffer.from(bytes).toString()),
    ['thir', 'd on', 'e'],
  );
  await checkpoints.remove('a');
  t.is(held.size, 0);
  t.is(await checkpoints.load('a', 1), undefined);
});

test('a damaged state is passed over for the one before', async (t) => {
  const { held, checkpoints } = createScene();
  await checkpoints.save('a', 1, state('the good one'));
  await checkpoints.save('a', 1, state('the bad one'));
  const path = [...held.keys()].findLast((key) => key.endsWith('.1'))!;
  held.set(path, state('XXXX'));
  t.deepEqual(await checkpoints.load('a', 1), state('the good one'));
  held.clear();
  await t.throwsAsync(checkpoints.load('a', 1), { code: 'DAMAGED_DATA', message: /no state of/ });
});

test('an earlier life saves nothing once a later one has begun', async (t) => {
  const { checkpoints } = createScene();
  await checkpoints.save('a', 1, state('one'));
  t.deepEqual(await checkpoints.load('a', 2), state('one'));
  await t.throwsAsync(checkpoints.save('a', 1, state('late')), {
    code: 'DAMAGED_DATA',
    message: /life 1 of actor a was replaced by life 2/,
  });
  t.deepEqual(await checkpoints.load('a', 2), state('one'));
});

test('a state of many chunks comes back from the servers', async (t) => {
  await using server = await startNatsServer();
  const bus = await connectNatsBus({ servers: server.url, timeoutMs: 10_000 });
  const wait = { timeoutMs: 10_000 };
  const checkpoints = await openNatsCheckpoints(bus, 'a b', createMemoryRegister(), wait);
  const large = new Uint8Array(3_000_001).map((_, index) => index % 251);
  await checkpoints.save('weights 1', 1, large);
  const loaded = await checkpoints.load('weights 1', 1);
  t.true(Buffer.from(loaded!).equals(large));
  await checkpoints.remove('weights 1');
  t.is(await checkpoints.load('weights 1', 1), undefined);
  await bus.close();
});
