import type { Graph } from './graph.ts';
import type { StateMemory } from './state-store.ts';
import type { StepFunction } from './step-function.ts';
import type { StepRunner } from './step-runner.ts';
import type { TensorSpec } from './tensor-spec.ts';

/** What can run compiled steps, the fastest first. */
export const engineNames = [
  'onnx-cuda',
  'onnx-webgpu',
  'onnx-cpu',
  'tfjs-node-gpu',
  'tfjs-node',
  'tfjs-wasm',
  'tfjs-cpu',
] as const;
export type EngineName = (typeof engineNames)[number];

/** A step on its way to an engine. */
export interface EngineJob {
  readonly step: StepFunction;
  readonly inputs: Readonly<Record<string, TensorSpec>>;
  readonly state: StateMemory;
  /** Of the step; only for engines that run graphs. */
  readonly graph: Graph | undefined;
  /** Threads of the native engine on the processor. */
  readonly threads: number;
  /** State entries whose products may be computed in int8. */
  readonly int8Weights: readonly string[];
  /** Path and prefix of a file that the native engine writes a profile of all runs to. */
  readonly profilePrefix: string | undefined;
  /** Refuse a step of which the engine would leave a part to the processor. */
  readonly whole: boolean;
}

/** One way to run steps. */
export interface Engine {
  /** `graph`: what the trace recorded, in one native call; `operations`: the function itself, by tfjs. */
  readonly runs: 'graph' | 'operations';
  /** What to do so that it works. */
  readonly install: string;
  /**
   * Loads it and tries it on the device that it computes on.
   * @throws Error with the reason why it doesn't work here.
   */
  prepare(): Promise<unknown>;
  /** Those of some tfjs kernels that it lacks; an engine that has been prepared knows. */
  lackingKernels(kernelNames: ReadonlySet<string>): readonly string[];
  /** @throws EngineUnavailableError where it can't run the step as the job wants it. */
  createRunner(job: EngineJob): Promise<StepRunner>;
}
