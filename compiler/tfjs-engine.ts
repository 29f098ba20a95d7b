import * as tf from '@tensorflow/tfjs-core';
import type { StateMemory } from './state-store.ts';
import { checkStepResult, type StepFunction, type TensorMap } from './step-function.ts';
import type { StepRunner } from './step-runner.ts';
import {
  byteLengthOf,
  type DType,
  type TensorData,
  type TensorSpec,
  viewOf,
} from './tensor-spec.ts';
import { type TfjsEngineName, withEngine } from './tfjs-backend.ts';

/** Runs a step with TensorFlow.js itself, operation by operation: the reference, and the fallback. */
export function createTfjsRunner(
  engine: TfjsEngineName,
  step: StepFunction,
  state: StateMemory,
  inputSpecs: Readonly<Record<string, TensorSpec>>,
): StepRunner {
  return {
    run: async (inputs) => withEngine(engine, () => runStep(step, state, inputSpecs, inputs)),
    dispose: async () => {},
  };
}

function runStep(
  step: StepFunction,
  state: StateMemory,
  inputSpecs: Readonly<Record<string, TensorSpec>>,
  inputs: Readonly<Record<string, TensorData>>,
): Record<string, TensorData> {
  const made: tf.Tensor[] = [];
  const outputs: Record<string, TensorData> = {};
  try {
    tf.tidy(() => {
      const result = step(
        lazyTensors(state.specs, (name) => state.read(name), made),
        lazyTensors(inputSpecs, (name) => inputs[name]!, made),
      );
      checkStepResult(result, state.specs);
      const updates = Object.entries(result.state).map(
        ([name, tensor]) => [name, tensor.dataSync() as TensorData] as const,
      );
      for (const [name, tensor] of Object.entries(result.outputs)) outputs[name] = copyOf(tensor);
      // All results are read before any is written: an entry may be the old value of another.
      for (const [name, data] of updates) state.read(name).set(data);
    });
  } finally {
    tf.dispose(made);
  }
  return outputs;
}

/** A cast of tfjs may leave the elements in the array that they were in: bytes for a bool's float. */
function copyOf(tensor: tf.Tensor): TensorData {
  const { shape, dtype } = tensor as tf.Tensor & { dtype: DType };
  const copy = viewOf({ shape, dtype }, new ArrayBuffer(byteLengthOf({ shape, dtype })));
  copy.set(tensor.dataSync() as TensorData);
  return copy;
}

/** Tensors that are made when they are first asked for: a step touches few of a large state. */
function lazyTensors(
  specs: Readonly<Record<string, TensorSpec>>,
  dataOf: (name: string) => TensorData,
  made: tf.Tensor[],
): TensorMap {
  const tensors: Record<string, tf.Tensor> = {};
  for (const [name, { shape, dtype }] of Object.entries(specs)) {
    let tensor: tf.Tensor | undefined;
    const get = () => {
      if (tensor === undefined) {
        // A copy, as tfjs keeps the array that it is given; kept, as the step may be in a tidy now.
        tensor = tf.keep(tf.tensor(dataOf(name).slice(), [...shape], dtype));
        made.push(tensor);
      }
      return tensor;
    };
    Object.defineProperty(tensors, name, { enumerable: true, get });
  }
  return tensors;
}
