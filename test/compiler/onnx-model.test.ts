import test from 'ava';
import type { Value } from '../../compiler/graph.ts';
import { writeOnnxModel } from '../../compiler/onnx-model.ts';

test('an operator without one of its attributes that ONNX takes as tensors is refused by name', (t) => {
  const x: Value = { shape: [4], dtype: 'float32' };
  const y: Value = { shape: [2], dtype: 'float32' };
  const attributes = { starts: [0], ends: [2], axes: [0] };
  const graph = {
    inputs: new Map([['x', x]]),
    nodes: [{ operator: 'Slice', inputs: [x], outputs: [y], attributes }],
    outputs: new Map([['y', y]]),
  };
  t.throws(() => writeOnnxModel(graph), {
    message: /Slice needs starts, ends, axes, steps as attributes, but has no steps/,
  });
});
