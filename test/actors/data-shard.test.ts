import { join } from 'node:path';
import test from 'ava';
import { BatchReader } from '../../actors/batch-reader.ts';
import { dataShard } from '../../actors/data-shard.ts';
import {
  adultFiles,
  openBatches,
  prepareImages,
  prepareTable,
  shapeImages,
} from '../../datasets/index.ts';
import { createSystem, systemClock } from '../../runtime/index.ts';
import { temporaryFolder } from '../datasets/temporary-folder.ts';

test('a reader whose model takes other columns says so at once and does not ask again', async (t) => {
  const directory = join(await temporaryFolder(t, {}), 'images');
  await prepareImages({
    source: shapeImages({ count: 40, seed: 1, size: 8 }),
    split: { replicas: 1 },
    directory,
  });
  await using system = await createSystem({ bus: 'memory' });
  const source = { kind: 'records', directory, part: 0, batch: 4, seed: 2 } as const;
  const shard = await system.spawn(dataShard, { source, batchesPerMessage: 3 });
  const controller = new AbortController();
  const reader = new BatchReader({
    shard,
    columns: { images: { shape: [4, 8, 12, 3], dtype: 'float32' } },
    fromCursor: 0,
    batchesMax: 2,
    patience: { clock: systemClock, patienceMs: 20_000 },
    signal: controller.signal,
  });
  // Once its patience were over it would be a DeadlineError.
  await t.throwsAsync(reader.next(), {
    instanceOf: RangeError,
    message: /column images as .* expected float32\[4,8,12,3\]/,
  });
  controller.abort();
});

const person = (age: number, income: string) =>
  `${age}, Private, 77516, Bachelors, 13, Never-married, Sales, Own-child, White, Male, 0, 0, ${age}, Cuba, ${income}\n`;

test('a shard in a process of its own serves tables and images from a cursor on, and goes on there after kill -9', async (t) => {
  const folder = await temporaryFolder(t, {
    'adult.data': Array.from({ length: 50 }, (_, i) =>
      person(20 + i, i % 3 ? '<=50K' : '>50K'),
    ).join(''),
    'adult.test': person(30, '<=50K.'),
  });
  const table = join(folder, 'table');
  await prepareTable({ ...adultFiles(folder), split: { replicas: 2 }, directory: table });
  const images = join(folder, 'images');
  await prepareImages({
    source: shapeImages({ count: 40, seed: 1, size: 8 }),
    split: { replicas: 2, sharedFraction: 1 },
    directory: images,
  });

  const controller = new AbortController();
  await using system = await createSystem({ bus: 'local' });
  const pids: number[] = [];
  system.onActorEvent(({ pid }) => {
    if (pid !== undefined) pids.push(pid);
  });
  for (const directory of [table, images]) {
    const source = { kind: 'records', directory, part: 1, batch: 4, seed: 2 } as const;
    const batches = await openBatches(source);
    const shard = await system.spawn(
      dataShard,
      { source, batchesPerMessage: 3 },
      { maxRestarts: 1, restartBackoffMs: 10 },
    );
    const reader = new BatchReader({
      shard,
      columns: batches.columns,
      fromCursor: 5,
      batchesMax: 2,
      patience: { clock: systemClock, patienceMs: 20_000 },
      signal: controller.signal,
    });
    for (let cursor = 5; cursor < 20; cursor++) {
      t.deepEqual(await reader.next(), await batches.read(cursor));
      if (cursor === 9) process.kill(pids.at(-1)!, 'SIGKILL');
    }
  }
  controller.abort();
});
