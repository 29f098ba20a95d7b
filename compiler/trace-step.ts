import * as tf from '@tensorflow/tfjs-core';
import type { ElementType, Graph, Value } from './graph.ts';
import { checkStepResult, type StepFunction } from './step-function.ts';
import type { TensorSpec } from './tensor-spec.ts';
import { withBackend } from './tfjs-backend.ts';
import { registerTraceKernels, TraceBackend, traceBackendName } from './trace-backend.ts';

/** The prefixes of a traced graph's inputs and outputs. */
export const statePrefix = 'state:';
export const inputPrefix = 'input:';
export const outputPrefix = 'output:';

export interface StepTrace {
  /**
   * Inputs `state:<name>` and `input:<name>`, outputs `state:<name>` for updated entries and
   * `output:<name>`.
   */
  readonly graph: Graph;
  /** The tfjs kernels that the step calls, with the types of what they are given. */
  readonly kernels: ReadonlyMap<string, ReadonlySet<ElementType>>;
  /** Where in the user's code each is first called. */
  readonly places: ReadonlyMap<string, string>;
}

/**
 * Calls a step once with tensors that stand for its state and inputs, and records what it does.
 * The user's own tfjs backend is active again when this returns, and none of the trace's tensors is left.
 * @throws CannotCompileError for what has no compiled form; what the step throws.
 */
export function traceStep(
  step: StepFunction,
  state: Readonly<Record<string, TensorSpec>>,
  inputs: Readonly<Record<string, TensorSpec>>,
): StepTrace {
  return withTraceBackend((backend) => record(backend, step, state, inputs));
}

/** @throws TypeError where there is nothing to run. */
export function refuseNoEffect({ graph }: StepTrace): void {
  if (graph.outputs.size > 0) return;
  throw new TypeError(
    'The function has no effect: it returns no tensor, and changes no variable and no state.',
  );
}

/** Runs `body` on a backend that records; none of its tensors is left when this returns. */
export function withTraceBackend<Result>(body: (backend: TraceBackend) => Result): Result {
  registerTraceKernels();
  const backend = new TraceBackend();
  tf.registerBackend(traceBackendName, () => backend, 0);
  try {
    return withBackend(traceBackendName, () => {
      tf.engine().startScope('trace');
      try {
        const result = body(backend);
        backend.throwWhatWasRead();
        return result;
      } finally {
        tf.engine().endScope();
      }
    });
  } finally {
    tf.removeBackend(traceBackendName);
  }
}

function record(
  backend: TraceBackend,
  step: StepFunction,
  state: Readonly<Record<string, TensorSpec>>,
  inputs: Readonly<Record<string, TensorSpec>>,
): StepTrace {
  const graphInputs = new Map<string, Value>();
  const placeholders = (prefix: string, specs: Readonly<Record<string, TensorSpec>>) =>
    Object.fromEntries(
      Object.entries(specs).map(([name, spec]) => {
        const value: Value = { shape: spec.shape, dtype: spec.dtype };
        graphInputs.set(prefix + name, value);
        return [name, backend.placeholder(value)];
      }),
    );
  const outputs = new Map<string, Value>();
  const result = step(placeholders(statePrefix, state), placeholders(inputPrefix, inputs));
  checkStepResult(result, state);
  for (const [name, tensor] of Object.entries(result.state)) {
    const key = statePrefix + name;
    const value = backend.valueFor(tensor);
    // An entry that is handed back as it came needs no update.
    if (value !== graphInputs.get(key)) outputs.set(key, value);
  }
  for (const [name, tensor] of Object.entries(result.outputs)) {
    outputs.set(outputPrefix + name, backend.valueFor(tensor));
  }
  const graph = { inputs: graphInputs, nodes: backend.builder.nodes, outputs };
  return { graph, kernels: backend.kernels, places: backend.places };
}
