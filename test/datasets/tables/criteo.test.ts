import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import test from 'ava';
import { openRecords, type TableFeatures } from '../../../datasets/prepared/dataset.ts';
import { createRowBatches } from '../../../datasets/prepared/row-batches.ts';
import { criteoSchema } from '../../../datasets/tables/criteo.ts';
import { generateCriteo, writeCriteoFile } from '../../../datasets/tables/criteo-generator.ts';
import { murmurHash3 } from '../../../datasets/tables/murmur-hash.ts';
import { prepareTable } from '../../../datasets/tables/table-preparation.ts';
import { UserInputError } from '../../../errors.ts';
import { temporaryFolder } from '../temporary-folder.ts';

test('a row of counts and categories becomes logarithms and buckets', async (t) => {
  const line = (label: number, first: string, category: string) =>
    [label, first, ...Array(12).fill('0'), category, ...Array(25).fill('')].join('\t');
  const folder = await temporaryFolder(t, {
    'train.txt': `${line(0, '-2', '68fd1e64')}\n${line(1, '6', '')}\n`,
    'test.txt': `${line(1, '', '8cf07265')}\n`,
  });
  const dataset = await prepareTable({
    paths: [join(folder, 'train.txt')],
    heldOutPaths: [join(folder, 'test.txt')],
    schema: criteoSchema({ buckets: 100 }),
    hashSeed: 5,
    split: { replicas: 1 },
    directory: join(folder, 'prepared'),
  });
  const { numeric: features, categorical } = dataset.features as TableFeatures;
  t.is(features.length, 13);
  t.true(Math.abs(features[0]!.mean - (Math.log(7) - Math.log(3)) / 2) < 1e-12);
  t.deepEqual(categorical[25], { name: 'C26', cardinality: 100, missing: 2 });
  const shard = await openRecords(dataset, dataset.shards[0]!);
  const { numeric, categories, label } = await shard.readBlock(0);
  t.deepEqual([...label!], [0, 1]);
  // Two values lie one deviation below and above their mean; a column of one value is 0.
  t.true(Math.abs(numeric![0]! + 1) < 1e-6 && Math.abs(numeric![13]! - 1) < 1e-6);
  t.is(numeric![1], 0);
  t.is(categories![0], 1 + (murmurHash3('68fd1e64', 5) % 99));
  t.is(categories![26], 0);
});

test('a row with too few fields, as in the test file without labels, is named', async (t) => {
  const folder = await temporaryFolder(t, { 'test.txt': `${Array(39).fill('1').join('\t')}\n` });
  const preparing = prepareTable({
    paths: [join(folder, 'test.txt')],
    schema: criteoSchema(),
    split: { replicas: 1 },
    directory: join(folder, 'prepared'),
  });
  await t.throwsAsync(preparing, {
    instanceOf: UserInputError,
    message: /row 1 \(line 1\): it has 39 fields, expected 40/,
  });
});

test('generated rows have the format, with missing fields and skewed categories', (t) => {
  const rows = [...generateCriteo({ rows: 4000, seed: 1 })].map(({ line }) => line.split('\t'));
  t.true(
    rows.every(
      (fields) =>
        fields.length === 40 &&
        /^[01]$/.test(fields[0]!) &&
        fields.slice(1, 14).every((field) => /^(-?\d+)?$/.test(field)) &&
        fields.slice(14).every((field) => /^([0-9a-f]{8})?$/.test(field)),
    ),
  );
  const share = (column: number, value: string) =>
    rows.filter((fields) => fields[column] === value).length / rows.length;
  // The fourth integer is missing in 45 %, the first category in 2 %.
  t.true(Math.abs(share(4, '') - 0.45) < 0.04);
  t.true(Math.abs(share(14, '') - 0.02) < 0.012);
  t.true(Math.min(...rows.map((fields) => Number(fields[2]))) === -2);
  const counts = Object.values(Object.groupBy(rows, (fields) => fields[17]!))
    .map((group) => group!.length)
    .sort((a, b) => b - a);
  t.true(counts[0]! > 10 * counts[30]! && counts.length > 300);
});

test('a seed draws the rows, another seed others of the same structure', async (t) => {
  const linesOf = (seed: number, structureSeed?: number) =>
    [...generateCriteo({ rows: 50, seed, ...(structureSeed !== undefined && { structureSeed }) })]
      .map(({ line }) => line)
      .join('\n');
  t.is(linesOf(3), linesOf(3));
  t.not(linesOf(3), linesOf(4));
  t.not(linesOf(3), linesOf(3, 1));
  const folder = await temporaryFolder(t);
  const plain = await writeCriteoFile(join(folder, 'a.txt'), { rows: 50, seed: 3 });
  const packed = await writeCriteoFile(join(folder, 'a.txt.gz'), { rows: 50, seed: 3 });
  t.deepEqual(packed, plain);
  const text = await readFile(join(folder, 'a.txt'), 'utf8');
  t.is(text, `${linesOf(3)}\n`);
  t.is(gunzipSync(await readFile(join(folder, 'a.txt.gz'))).toString(), text);
  t.throws(() => [...generateCriteo({ rows: 0, seed: 1 })], { instanceOf: RangeError });
  await t.throwsAsync(writeCriteoFile(join(folder, 'none', 'a'), { rows: 1, seed: 1 }), {
    instanceOf: UserInputError,
  });
});

test('labels are drawn from the probabilities that the rows come with', (t) => {
  let surprise = 0;
  let variance = 0;
  for (const { line, clickProbability: p } of generateCriteo({ rows: 20_000, seed: 2 })) {
    surprise += Number(line[0]) - p;
    variance += p * (1 - p);
  }
  t.true(Math.abs(surprise) < 4 * Math.sqrt(variance));
});

/** Log loss on the held-out part of a logistic regression over buckets and numbers, by plain SGD. */
async function logisticLoss(directory: string, path: string): Promise<number> {
  const buckets = 500;
  const schema = criteoSchema({ buckets });
  const options = { paths: [path], schema, split: { replicas: 1 }, directory };
  const dataset = await prepareTable(options);
  const weights = new Float64Array(14 + 26 * buckets);
  const pass = async (entry: typeof dataset.heldOut, rate: number): Promise<number> => {
    const file = await openRecords(dataset, entry);
    const batches = createRowBatches(file, { batch: 100, seed: 1 });
    let loss = 0;
    for (let cursor = 0; cursor < batches.count; cursor++) {
      const { numeric, categories, label } = await batches.read(cursor);
      for (let row = 0; row < 100; row++) {
        const places = Array.from(
          categories!.subarray(row * 26, row * 26 + 26),
          (value, column) => 14 + column * buckets + value,
        );
        const values = Array.from(numeric!.subarray(row * 13, row * 13 + 13));
        const score =
          weights[13]! +
          values.reduce((sum, value, i) => sum + value * weights[i]!, 0) +
          places.reduce((sum, place) => sum + weights[place]!, 0);
        const p = 1 / (1 + Math.exp(-score));
        const y = label![row]!;
        loss -= y === 1 ? Math.log(p) : Math.log1p(-p);
        const step = rate * (y - p);
        weights[13]! += step;
        values.forEach((value, i) => {
          weights[i]! += step * value;
        });
        for (const place of places) weights[place]! += step;
      }
    }
    return loss / (batches.count * 100);
  };
  for (const rate of [0.02, 0.01, 0.005]) await pass(dataset.shards[0]!, rate);
  return await pass(dataset.heldOut, 0);
}

test('single fields can be learned, and interactions leave more to learn', async (t) => {
  const folder = await temporaryFolder(t);
  const path = join(folder, 'train.txt');
  const { bayesLogLoss, clickRate } = await writeCriteoFile(path, { rows: 40_000, seed: 1 });
  const loss = await logisticLoss(join(folder, 'prepared'), path);
  const guessing = -clickRate * Math.log(clickRate) - (1 - clickRate) * Math.log1p(-clickRate);
  t.log({ guessing, loss, bayesLogLoss, clickRate });
  t.true(loss < guessing - 0.03, 'it learns');
  t.true(loss > bayesLogLoss + 0.03, 'it does not learn all');
});
