import test from 'ava';
import fc from 'fast-check';
import type { Batch } from '../../datasets/batches.ts';
import { createWindows, type Windows } from '../../datasets/windows.ts';
import { UserInputError } from '../../errors.ts';

test('each lane reads its own part of the shard, window after window', (t) => {
  // 13 tokens: two lanes of 6, each with two windows of 3; token 12 is only a target.
  const windows = createWindows(shardOf(13), { batch: 2, time: 3 });
  t.is(windows.count, 2);
  t.deepEqual(listed(windows.read(0)), {
    cursor: 0,
    tokens: [0, 1, 2, 6, 7, 8],
    targets: [1, 2, 3, 7, 8, 9],
  });
  t.deepEqual(listed(windows.read(1)), {
    cursor: 1,
    tokens: [3, 4, 5, 9, 10, 11],
    targets: [4, 5, 6, 10, 11, 12],
  });
});

test('after a pass the shard begins again, and the cursor goes on', (t) => {
  const windows = createWindows(shardOf(13), { batch: 2, time: 3 });
  t.deepEqual(listed(windows.read(5)), { ...listed(windows.read(1)), cursor: 5 });
});

test('lanes overlap nowhere, and a pass leaves less than a window of each unread', (t) => {
  const shape = fc.record({
    batch: fc.integer({ min: 1, max: 8 }),
    time: fc.integer({ min: 1, max: 9 }),
    rest: fc.integer({ min: 1, max: 200 }),
  });
  fc.assert(
    fc.property(shape, ({ batch, time, rest }) => {
      const length = batch * time + rest;
      const windows = createWindows(shardOf(length), { batch, time });
      const seen = new Set<number>();
      for (let cursor = 0; cursor < windows.count; cursor++) {
        const { tokens, targets } = columnsOf(windows, cursor);
        t.deepEqual(
          [...targets],
          [...tokens].map((token) => token + 1),
        );
        t.true(targets.every((target) => target < length));
        for (const token of tokens) seen.add(token);
      }
      t.is(seen.size, windows.count * batch * time);
      t.true(length - 1 - seen.size < batch * (time + 1));
    }),
  );
});

test('lanes go on from window to window without a gap', (t) => {
  const [batch, time] = [3, 4];
  const windows = createWindows(shardOf(100), { batch, time });
  for (let cursor = 0; cursor + 1 < windows.count; cursor++) {
    const last = columnsOf(windows, cursor).targets;
    const next = columnsOf(windows, cursor + 1).tokens;
    for (let lane = 0; lane < batch; lane++) t.is(next[lane * time], last[(lane + 1) * time - 1]);
  }
});

test('a shard with a single window is enough, one token less is not', (t) => {
  t.is(createWindows(shardOf(7), { batch: 2, time: 3 }).count, 1);
  const error = t.throws(() => createWindows(shardOf(6), { batch: 2, time: 3 }), {
    instanceOf: UserInputError,
  });
  t.regex(error!.message, /a\.tokens has 6 tokens, but 2 lanes of 3 need at least 7/);
});

test('tokens beyond 65,535 come whole', (t) => {
  const shard = { path: 'a.tokens', tokens: Uint32Array.of(70_000, 80_000, 90_000), crc32: 0 };
  const { tokens, targets } = columnsOf(createWindows(shard, { batch: 1, time: 2 }), 0);
  t.deepEqual([...tokens, ...targets], [70_000, 80_000, 80_000, 90_000]);
});

for (const cursor of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY]) {
  test(`a cursor of ${cursor} is refused`, (t) => {
    const windows = createWindows(shardOf(20), { batch: 2, time: 3 });
    t.throws(() => windows.read(cursor), { instanceOf: RangeError });
  });
}

for (const [batch, time] of [
  [0, 3],
  [2, 0],
  [1.5, 3],
  [2, Number.NaN],
] as const) {
  test(`windows of ${batch} × ${time} are refused`, (t) => {
    t.throws(() => createWindows(shardOf(20), { batch, time }), { instanceOf: RangeError });
  });
}

/** A shard in which each token is its own place. */
function shardOf(length: number): Parameters<typeof createWindows>[0] {
  return { path: 'a.tokens', tokens: new Uint16Array(length).map((_, n) => n), crc32: 0 };
}

function columnsOf(windows: Windows, cursor: number) {
  const { tokens, targets } = windows.read(cursor).columns;
  return { tokens: tokens as Int32Array, targets: targets as Int32Array };
}

function listed({ cursor, columns }: Batch) {
  return { cursor, tokens: [...columns.tokens!], targets: [...columns.targets!] };
}
