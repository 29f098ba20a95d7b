import * as tf from '@tensorflow/tfjs-core';
import { CannotCompileError } from '../errors.ts';
import type { TraceBackend } from './trace-backend.ts';
import { captureCalls, isCalledByLayers, placeInUserCode } from './user-code.ts';

/**
 * Runs `body` and refuses tensors that it computes and keeps beyond its end: there will be nothing in them.
 * @throws CannotCompileError with the place of the first `tf.keep` whose tensor is still there.
 */
export function refuseKeptTensors<Result>(backend: TraceBackend, body: () => Result): Result {
  const engine = tf.engine();
  const keep = engine.keep;
  const kept: { readonly tensor: tf.Tensor; readonly calls: Error }[] = [];
  engine.keep = (tensor) => {
    kept.push({ tensor, calls: captureCalls() });
    return keep.call(engine, tensor) as typeof tensor;
  };
  try {
    const result = body();
    const left = kept.find(
      ({ tensor, calls }) =>
        !tensor.isDisposed &&
        // Numbers are harmless: an optimizer that is made in the function keeps its rate.
        backend.valueFor(tensor).constant === undefined &&
        // So are dropout masks, which recurrent layers keep until their next call.
        !isCalledByLayers(calls),
    );
    if (left === undefined) return result;
    left.tensor.dispose();
    throw new CannotCompileError(
      `The function keeps a tensor beyond its end${placeInUserCode(left.calls)}, where a compiled ` +
        'one has none. Return it as an output, or assign it to a tf.Variable.',
    );
  } finally {
    delete (engine as Partial<typeof engine>).keep;
  }
}
