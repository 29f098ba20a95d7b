import test from 'ava';
import { type Batches, partOfBatches } from '../../datasets/index.ts';

const batches: Batches = {
  columns: {
    tokens: { shape: [4, 2], dtype: 'int32' },
    weight: { shape: [4], dtype: 'float32' },
  },
  count: 2,
  read: (cursor) => ({
    cursor,
    columns: {
      tokens: Int32Array.from({ length: 8 }, (_, index) => 100 * cursor + index),
      weight: Float32Array.of(0, 1, 2, 3),
    },
  }),
};

test('each part has its rows of every column, and all of them together the batch', async (t) => {
  const second = partOfBatches(batches, { index: 1, of: 2 });
  t.deepEqual(second.columns.tokens, { shape: [2, 2], dtype: 'int32' });
  t.is(second.count, 2);
  t.deepEqual(await second.read(1), {
    cursor: 1,
    columns: { tokens: Int32Array.of(104, 105, 106, 107), weight: Float32Array.of(2, 3) },
  });
  const rows: number[] = [];
  for (let index = 0; index < 4; index++) {
    const part = await partOfBatches(batches, { index, of: 4 }).read(0);
    rows.push(...part.columns.tokens!);
  }
  t.deepEqual(rows, [0, 1, 2, 3, 4, 5, 6, 7]);
});

test('parts that are not there, or rows that do not divide, are refused', (t) => {
  t.throws(() => partOfBatches(batches, { index: 2, of: 2 }), { message: /no part 2 of 2/ });
  t.throws(() => partOfBatches(batches, { index: 0, of: 3 }), {
    message: /4 rows in a batch, which don't divide into 3/,
  });
});
