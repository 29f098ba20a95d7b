import { join } from 'node:path';
import test from 'ava';
import { openBatches } from '../../../datasets/data-source.ts';
import { decodeBatches, encodeBatches } from '../../../datasets/record-batches.ts';
import { criteoSchema } from '../../../datasets/tables/criteo.ts';
import { writeCriteoFile } from '../../../datasets/tables/criteo-generator.ts';
import { prepareTable } from '../../../datasets/tables/table-preparation.ts';
import { denseNetwork } from '../../../training/index.ts';
import { temporaryFolder } from '../temporary-folder.ts';

test("a table's part is batches with the columns that the dense network reads, over the wire too", async (t) => {
  const folder = await temporaryFolder(t);
  const path = join(folder, 'train.txt');
  await writeCriteoFile(path, { rows: 300, seed: 1 });
  const directory = join(folder, 'prepared');
  const schema = criteoSchema({ buckets: 50 });
  const dataset = await prepareTable({ paths: [path], schema, split: { replicas: 2 }, directory });
  const source = { kind: 'records', directory, batch: 16 } as const;
  const shard = await openBatches({ ...source, part: 1, seed: 4 });
  const network = denseNetwork({
    numericColumns: 13,
    categoricalColumns: 26,
    buckets: 50,
    embeddingSize: 2,
    hiddenSizes: [4],
    classes: dataset.classes.length,
  });
  const targets = { shape: network.targetShape(16), dtype: 'int32' };
  t.deepEqual<object, object>(shard.columns, { ...network.inputs(16), targets });
  t.is(shard.count, Math.floor(dataset.shards[1]!.rows / 16));
  const batch = await shard.read(3);
  const [decoded] = decodeBatches(await encodeBatches(shard, 3, 1), shard.columns);
  t.deepEqual(decoded, batch);

  const heldOut = await openBatches({ ...source, part: 'held-out' });
  const { columns } = await heldOut.read(0);
  t.true(columns.categories!.every((value) => value >= 0 && value < 50));
  await t.throwsAsync(openBatches({ ...source, part: 2 }), {
    instanceOf: RangeError,
    message: /part is 2: .* has 2 shards/,
  });
});
