import test from 'ava';
import { createSplit, type SplitOptions } from '../../../datasets/prepared/split.ts';

const rows = 20_000;

function deal(options: SplitOptions, heldOut = true) {
  const split = createSplit(options, { heldOut });
  const parts = Array.from({ length: rows }, split);
  return { parts, share: (part: unknown) => parts.filter((one) => one === part).length / rows };
}

/** Five standard deviations of a share. */
function isNear(share: number, expected: number): boolean {
  return Math.abs(share - expected) < 5 * Math.sqrt((expected * (1 - expected)) / rows);
}

test('disjoint shards and the held-out part have their shares', (t) => {
  const { share } = deal({ replicas: 3, heldOutFraction: 0.1, seed: 7 });
  t.true(isNear(share('held-out'), 0.1));
  t.is(share('all'), 0);
  for (const replica of [0, 1, 2]) t.true(isNear(share(replica), 0.3));
});

test('a fraction of the training rows is shared', (t) => {
  const { share } = deal({ replicas: 2, heldOutFraction: 0.2, sharedFraction: 0.25 });
  t.true(isNear(share('all'), 0.8 * 0.25));
  t.true(isNear(share(0), 0.8 * 0.375));
});

test('all rows are shared by replicas that train on the same', (t) => {
  const { share } = deal({ replicas: 2, sharedFraction: 1 }, false);
  t.is(share('all'), 1);
});

test('a seed decides, and what is held out does not depend on the number of replicas', (t) => {
  const heldOut = (options: SplitOptions) => deal(options).parts.map((part) => part === 'held-out');
  t.deepEqual(deal({ replicas: 2, seed: 1 }).parts, deal({ replicas: 2, seed: 1 }).parts);
  t.notDeepEqual(heldOut({ replicas: 2, seed: 1 }), heldOut({ replicas: 2, seed: 2 }));
  t.deepEqual(
    heldOut({ replicas: 2, seed: 1 }),
    heldOut({ replicas: 4, seed: 1, sharedFraction: 0.5 }),
  );
});

test('an option out of its range is named', (t) => {
  const fails = (options: SplitOptions, message: RegExp) =>
    t.throws(() => createSplit(options, { heldOut: true }), { instanceOf: RangeError, message });
  fails({ replicas: 0 }, /replicas is 0: it takes a whole number of 1 … 256/);
  fails({ replicas: 2, sharedFraction: 1.5 }, /sharedFraction is 1.5: it lies in 0 … 1/);
  fails({ replicas: 2, heldOutFraction: 0 }, /heldOutFraction is 0: it lies between 0 and 1/);
  fails({ replicas: 2, seed: -1 }, /seed is -1/);
});
