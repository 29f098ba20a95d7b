import { join } from 'node:path';
import test from 'ava';
import { Evaluator, type WeightSource } from '../../actors/evaluator.ts';
import { type Batches, readPredictions } from '../../datasets/index.ts';
import type { Handle } from '../../runtime/index.ts';
import { createModel, type ModelConfig } from '../../training/index.ts';
import { makeFolder } from '../cli/actorctl-process.ts';

const coin: ModelConfig = {
  kind: 'dense',
  numericColumns: 1,
  categoricalColumns: 1,
  buckets: 2,
  embeddingSize: 1,
  hiddenSizes: [1],
  classes: 2,
};

/** Two batches of two examples. */
const batches: Batches = {
  columns: {
    ...createModel(coin).inputs(2),
    targets: { shape: [2], dtype: 'int32' },
  },
  count: 2,
  read: (cursor) => ({
    cursor,
    columns: {
      numeric: new Float32Array(2),
      categories: new Int32Array(2),
      targets: Int32Array.of(cursor, 1),
    },
  }),
};

/** A model whose weights are all zero but for its last bias always predicts the same. */
function constantModel(probability: number, lost = 5): Handle<WeightSource> {
  const shapes = Object.entries(createModel(coin).parameters);
  const weights = Object.fromEntries(
    shapes.map(([name, shape]) => [
      name,
      new Float32Array(shape.reduce((product, size) => product * size, 1)),
    ]),
  );
  weights[shapes.at(-1)?.[0] as string] = Float32Array.of(
    Math.log(1 - probability),
    Math.log(probability),
  );
  const source: WeightSource = {
    weights: (version) => (version === lost ? null : { version: version ?? 7, weights }),
  };
  return source as Handle<WeightSource>;
}

function twoCoins(): Evaluator {
  return new Evaluator(
    {
      models: [coin, coin],
      source: { kind: 'records', directory: '', part: 'held-out', batch: 2 },
      batch: 2,
      batchesMax: 2,
      engine: 'tfjs-cpu',
      threads: 1,
    },
    batches,
  );
}

test('an evaluation scores the versions that it is asked for, or none', async (t) => {
  await using evaluator = twoCoins();
  const sources = [[constantModel(0.75)], [constantModel(0.5)]];
  t.deepEqual((await evaluator.evaluate(sources))?.versions, [7, 7]);
  t.deepEqual((await evaluator.evaluate(sources, { versions: [3, null] }))?.versions, [3, 7]);
  t.is(await evaluator.evaluate(sources, { versions: [4, 5] }), null);
  // A worker that the others went on without, and one of these.
  const workers = [sources[0]!, [constantModel(0.5), constantModel(0.5, 4)]];
  t.deepEqual((await evaluator.evaluate(workers, { versions: [4, 5] }))?.versions, [4, 5]);
});

test('an evaluation can keep what each replica says of each row', async (t) => {
  await using folder = await makeFolder();
  const path = join(folder.path, 'predictions.arrow');
  await using evaluator = twoCoins();
  const sources = [[constantModel(0.75)], [constantModel(0.5)]];
  const evaluation = await evaluator.evaluate(sources, { predictionsPath: path });
  t.is(evaluation?.losses[1]?.toFixed(5), Math.log(2).toFixed(5));
  const { targets, classes, models } = await readPredictions(path);
  t.deepEqual([...(targets ?? [])], [0, 1, 1, 1]);
  t.is(classes, 2);
  t.deepEqual([...models.keys()], ['replica-1', 'replica-2']);
  const rounded = (name: string) => [...(models.get(name) ?? [])].map((p) => Number(p.toFixed(5)));
  t.deepEqual(rounded('replica-1'), [0.25, 0.75, 0.25, 0.75, 0.25, 0.75, 0.25, 0.75]);
  t.deepEqual(
    rounded('replica-2'),
    Array.from({ length: 8 }, () => 0.5),
  );
});
