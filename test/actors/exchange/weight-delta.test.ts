import { deflateRawSync, inflateRawSync } from 'node:zlib';
import test from 'ava';
import {
  applyDelta,
  DeltaEncoder,
  deltaBytes,
  fullDelta,
  type VersionedWeights,
  type Weights,
  weightsBytes,
  weightsCrc32,
  weightsSha256,
} from '../../../actors/exchange/weight-delta.ts';
import { DamagedDataError } from '../../../errors.ts';
import { createRandomGenerator } from '../../../training/index.ts';

const shapes = { bias: [3], kernel: [2, 3] };

function weightsOf(kernel: readonly number[], bias: readonly number[]): Weights {
  return { kernel: Float32Array.from(kernel), bias: Float32Array.from(bias) };
}

test('a first delta is a full snapshot in either codec', (t) => {
  for (const codec of ['f32', 'int8'] as const) {
    const weights = weightsOf([1, 2, 3, 4, 5, 6], [7, 8, 9]);
    const delta = new DeltaEncoder({ codec, shapes }).encode(weights, 50);
    t.is(delta.baseVersion, null);
    t.is(deltaBytes(delta), weightsBytes(weights));
    const received = applyDelta(undefined, delta, shapes);
    t.is(received.version, 50);
    t.deepEqual(received.weights, weights);
  }
});

test('int8 steps are the differences in 127ths of the largest of their row', (t) => {
  const encoder = new DeltaEncoder({ codec: 'int8', shapes });
  encoder.encode(weightsOf([0, 0, 0, 10, 10, 10], [0, 0, 0]), 0);
  // Row 0 moves by at most 1.27, so one step is 0.01; row 1 by at most 127, so one step is 1.
  const delta = encoder.encode(weightsOf([1.27, -0.5, 0.004, 137, 10, 9.4], [0, 0, 0]), 50);
  t.is(delta.baseVersion, 0);
  const kernel = delta.tensors.kernel;
  if (kernel?.codec !== 'int8') return t.fail('kernel is not coded in int8');
  t.deepEqual([...new Int8Array(inflateRawSync(kernel.packed))], [127, -50, 0, 127, 0, -1]);
  t.deepEqual([...kernel.rowScales], [Math.fround(1.27 / 127), 1]);
  // Three rows of one scale each (bias is one row) and the steps of both.
  const packed = Object.values(delta.tensors).map((each) => (each as typeof kernel).packed.length);
  t.is(deltaBytes(delta), 3 * 4 + packed[0]! + packed[1]!);
});

test('error feedback keeps the receiver within half a step however many deltas follow', (t) => {
  const random = createRandomGenerator(7);
  const row = 64;
  const encoder = new DeltaEncoder({ codec: 'int8', shapes: { w: [4, row] } });
  const weights = Float32Array.from({ length: 4 * row }, () => random.nextUniform(-0.5, 0.5));
  let received: VersionedWeights | undefined;
  for (let version = 0; version < 40; version++) {
    received = applyDelta(received, encoder.encode({ w: weights }, version), { w: [4, row] });
    t.deepEqual(received.weights, encoder.base?.weights);
    for (let i = 0; i < weights.length; i++) {
      weights[i] = (weights[i] as number) + random.nextUniform(-0.005, 0.005);
    }
  }
  const final = applyDelta(received, encoder.encode({ w: weights }, 40), { w: [4, row] });
  const errors = weights.map((value, i) => Math.abs(value - (final.weights.w?.[i] as number)));
  // One round of changes is below 0.005 and what was left from before below a step of it.
  t.true(Math.max(...errors) < 0.006 / 127, `largest error ${Math.max(...errors)}`);
});

test('a delta on another base, or with one changed byte, is refused by its checksum', (t) => {
  const encoder = new DeltaEncoder({ codec: 'int8', shapes });
  encoder.encode(weightsOf([1, 2, 3, 4, 5, 6], [7, 8, 9]), 0);
  const delta = encoder.encode(weightsOf([2, 3, 4, 5, 6, 7], [8, 9, 10]), 50);
  const otherBase = { version: 0, weights: weightsOf([1, 2, 3, 4, 5, 7], [7, 8, 9]) };
  t.throws(() => applyDelta(otherBase, delta, shapes), { instanceOf: DamagedDataError });
  const base = { version: 0, weights: weightsOf([1, 2, 3, 4, 5, 6], [7, 8, 9]) };
  t.notThrows(() => applyDelta(base, delta, shapes));
  const kernel = delta.tensors.kernel;
  if (kernel?.codec !== 'int8') return t.fail('kernel is not coded in int8');
  const steps = inflateRawSync(kernel.packed);
  steps[4]! ^= 1;
  const changed = { ...kernel, packed: deflateRawSync(steps) };
  t.throws(
    () => applyDelta(base, { ...delta, tensors: { ...delta.tensors, kernel: changed } }, shapes),
    { message: /checksum of version 50/ },
  );
});

test('a delta that lacks a parameter or has one of another size is refused by its name', (t) => {
  const encoder = new DeltaEncoder({ codec: 'f32', shapes });
  const delta = encoder.encode(weightsOf([1, 2, 3, 4, 5, 6], [7, 8, 9]), 0);
  t.throws(() => applyDelta(undefined, delta, { ...shapes, gain: [1] }), { message: /lacks gain/ });
  t.throws(() => applyDelta(undefined, delta, { kernel: [3, 3] }), {
    message: /kernel has 6 elements, expected 9/,
  });
});

test('an encoder goes on from the base of a checkpoint with the same bits', (t) => {
  const first = weightsOf([1, 2, 3, 4, 5, 6], [7, 8, 9]);
  const second = weightsOf([1.1, 2.3, 3.1, 4.7, 5.5, 6.2], [7.7, 8.8, 9.9]);
  const straight = new DeltaEncoder({ codec: 'int8', shapes });
  straight.encode(first, 0);
  const resumed = new DeltaEncoder({ codec: 'int8', shapes, base: straight.base });
  t.deepEqual(resumed.encode(second, 50), straight.encode(second, 50));
});

test('a full snapshot gives a receiver that has lost everything the same bits', (t) => {
  const encoder = new DeltaEncoder({ codec: 'int8', shapes });
  const start = applyDelta(
    undefined,
    encoder.encode(weightsOf([1, 2, 3, 4, 5, 6], [7, 8, 9]), 0),
    shapes,
  );
  const delta = encoder.encode(weightsOf([1.3, 2.1, 3.9, 4, 5, 6], [7, 8, 9.5]), 50);
  t.deepEqual(
    applyDelta(undefined, fullDelta(encoder.base as VersionedWeights), shapes),
    applyDelta(start, delta, shapes),
  );
});

test('checksums depend on every value and not on the order of the parameters', (t) => {
  const weights = weightsOf([1, 2, 3, 4, 5, 6], [7, 8, 9]);
  const reordered = {
    bias: weights.bias as Float32Array,
    kernel: weights.kernel as Float32Array,
  };
  const changed = weightsOf([1, 2, 3, 4, 5, 6.000001], [7, 8, 9]);
  t.is(weightsCrc32(weights), weightsCrc32(reordered));
  t.is(weightsSha256(weights), weightsSha256(reordered));
  t.not(weightsCrc32(weights), weightsCrc32(changed));
  t.not(weightsSha256(weights), weightsSha256(changed));
});
