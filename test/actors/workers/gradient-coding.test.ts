import test from 'ava';
import {
  codedBytes,
  decodeGradients,
  GradientEncoder,
} from '../../../actors/workers/gradient-coding.ts';
import { GradientRound } from '../../../actors/workers/gradient-round.ts';
import { DamagedDataError } from '../../../errors.ts';

const shapes = { kernel: [2, 2] };

test('f32 gradients arrive as they are', (t) => {
  const encoder = new GradientEncoder({ codec: 'f32', shapes });
  const gradients = { kernel: Float32Array.of(0.1, -2, 3e-8, 4) };
  const coded = encoder.encode(gradients);
  t.deepEqual(decodeGradients(coded, shapes), gradients);
  t.is(codedBytes(coded), 16);
  encoder.accepted();
  t.deepEqual(encoder.rest, {});
});

test('what a lossy codec leaves out is part of the next gradients', (t) => {
  const encoder = new GradientEncoder({ codec: 'int8', shapes });
  const gradients = { kernel: Float32Array.of(1, 0.003, -1, 0.5) };
  const total = new Float64Array(4);
  for (let step = 0; step < 50; step++) {
    const arrived = decodeGradients(encoder.encode(gradients), shapes).kernel!;
    encoder.accepted();
    for (const [index, value] of arrived.entries()) total[index]! += value;
  }
  // A single 0.003 beside 1 is nothing in 127 steps.
  t.is(
    decodeGradients(new GradientEncoder({ codec: 'int8', shapes }).encode(gradients), shapes)
      .kernel![1],
    0,
  );
  for (const [index, value] of gradients.kernel.entries()) {
    t.true(Math.abs(total[index]! - 50 * value) <= 1 / 127, `${index}: ${total[index]}`);
  }
});

test('gradients that were not accepted leave no rest behind', (t) => {
  const encoder = new GradientEncoder({ codec: 'int8', shapes });
  const first = encoder.encode({ kernel: Float32Array.of(1, 0.003, 0, 0) });
  t.deepEqual(encoder.rest, {});
  t.deepEqual(encoder.encode({ kernel: Float32Array.of(1, 0.003, 0, 0) }), first);
});

test('gradients of another model are refused by name', (t) => {
  const coded = new GradientEncoder({ codec: 'f32', shapes }).encode({
    kernel: new Float32Array(3),
  });
  t.throws(() => decodeGradients(coded, shapes), {
    instanceOf: DamagedDataError,
    message: /kernel/,
  });
  t.throws(() => decodeGradients({}, shapes), {
    instanceOf: DamagedDataError,
    message: /lack the parameter kernel/,
  });
});

test('a round averages in the order of its workers, and counts no more than its quorum', (t) => {
  const shareOf = (value: number, ...workers: readonly number[]) => ({
    workers,
    carried: new Map(workers.map((worker) => [worker, { h: Float32Array.of(value) }])),
    gradients: { kernel: Float32Array.of(value, -value) },
    statistics: { mean: Float32Array.of(2 * value) },
    measures: { loss: value },
  });
  const round = new GradientRound(2);
  round.add(shareOf(5, 2));
  t.false(round.complete);
  round.add(shareOf(4, 2));
  round.add(shareOf(1, 0));
  t.true(round.complete);
  round.add(shareOf(1000, 1));
  t.deepEqual(round.mean(), {
    gradients: { kernel: Float32Array.of(2.5, -2.5) },
    statistics: { mean: Float32Array.of(5) },
    measures: { loss: 2.5 },
  });
});

test('the mean of a branch counts for each of its workers', (t) => {
  const round = new GradientRound(3);
  const share = (value: number) => ({
    gradients: { kernel: Float32Array.of(value) },
    statistics: {},
    measures: { loss: value },
    carried: new Map(),
  });
  round.add({ ...share(9), workers: [0] });
  t.false(round.complete);
  round.add({ ...share(3), workers: [1, 2] });
  t.true(round.complete);
  // (9 + 2 · 3) / 3
  t.deepEqual(round.mean(), {
    gradients: { kernel: Float32Array.of(5) },
    statistics: {},
    measures: { loss: 5 },
  });
});
