import test from 'ava';
import type { NamedTensors } from '../../compiler/index.ts';
import { importedWeights } from '../../training/index.ts';

const model = { parameters: { w: [2, 1] }, statistics: { mean: [2] } };
const tensors: NamedTensors = {
  w: { shape: [2, 1], dtype: 'float32', data: Float32Array.of(1, 2) },
  mean: { shape: [2], dtype: 'float32', data: Float32Array.of(3, 4) },
  other: { shape: [1], dtype: 'float32', data: Float32Array.of(5) },
};

test('parameters and statistics are taken, what the model lacks is left', (t) => {
  const expected = { w: Float32Array.of(1, 2), mean: Float32Array.of(3, 4) };
  t.deepEqual(importedWeights(model, tensors), expected);
});

test('a weight that is missing, or has another type or shape, is refused by its name', (t) => {
  const refused = (wrong: NamedTensors, message: RegExp) =>
    t.throws(() => importedWeights(model, wrong), { message });
  refused({ w: tensors.w! }, /weight mean is float32\[2\], but the file has nothing/);
  refused({ ...tensors, w: { ...tensors.w!, shape: [1, 2] } }, /w is float32\[2,1\], .*\[1,2\]/);
  const whole = { shape: [2], dtype: 'int32', data: Int32Array.of(3, 4) } as const;
  refused({ ...tensors, mean: whole }, /mean is float32\[2\], but the file has int32\[2\]/);
});
