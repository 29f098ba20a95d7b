import type { TensorData } from './tensor-spec.ts';

/** A step made ready by an engine. Inputs have been checked; runs never overlap. */
export interface StepRunner {
  /** It finds and leaves state on a device; for others all of it is brought to host memory first. */
  readonly usesDevice?: boolean;
  /** Runs the step: updates the state and resolves to the outputs, in memory of their own. */
  run(inputs: Readonly<Record<string, TensorData>>): Promise<Record<string, TensorData>>;
  dispose(): Promise<void>;
}
