import type { InferenceSession, OnnxValue, Tensor, TensorConstructor } from 'onnxruntime-node';
import type { Graph } from './graph.ts';
import { outputName, usedInputs, writeOnnxModel } from './onnx-model.ts';
import { optimise } from './optimise.ts';
import type { StateMemory } from './state-store.ts';
import type { StepRunner } from './step-runner.ts';
import type { DType, TensorData, TensorSpec } from './tensor-spec.ts';
import { inputPrefix, outputPrefix, statePrefix } from './trace-step.ts';

type Onnxruntime = typeof import('onnxruntime-node');

/** Loads the native library. @throws what loading it throws, where it isn't installed or can't run. */
export async function loadOnnxruntime(): Promise<Onnxruntime> {
  return import('onnxruntime-node');
}

export interface OnnxEngineOptions {
  readonly threads: number;
  /** Where onnxruntime writes its profile, a prefix of a path; none is written without it. */
  readonly profilePrefix?: string;
}

/** Makes a traced step one native session that reads weights where the state keeps them. */
export async function createOnnxRunner(
  traced: Graph,
  state: StateMemory,
  options: OnnxEngineOptions,
): Promise<StepRunner> {
  const onnxruntime = await loadOnnxruntime();
  const graph = optimise(traced);
  const session = await onnxruntime.InferenceSession.create(writeOnnxModel(graph), {
    executionProviders: ['cpu'],
    executionMode: 'sequential',
    graphOptimizationLevel: 'all',
    intraOpNumThreads: options.threads,
    interOpNumThreads: 1,
    // Warnings are about what the passes left to fold; a user can do nothing about them.
    logSeverityLevel: 3,
    ...(options.profilePrefix === undefined
      ? {}
      : { enableProfiling: true, profileFilePrefix: options.profilePrefix }),
  });
  return new OnnxRunner(onnxruntime.Tensor, session, graph, state);
}

class OnnxRunner implements StepRunner {
  readonly #tensor: TensorConstructor;
  readonly #session: InferenceSession;
  readonly #state: StateMemory;
  readonly #stateFeeds: Readonly<Record<string, Tensor>>;
  readonly #inputs: readonly [name: string, spec: TensorSpec][];
  readonly #updated: readonly string[];
  readonly #outputs: readonly string[];

  constructor(
    tensor: TensorConstructor,
    session: InferenceSession,
    graph: Graph,
    state: StateMemory,
  ) {
    this.#tensor = tensor;
    this.#session = session;
    this.#state = state;
    const used = [...usedInputs(graph)];
    this.#stateFeeds = Object.fromEntries(
      used
        .filter(([key]) => key.startsWith(statePrefix))
        .map(([key, value]) => {
          const data = state.read(key.slice(statePrefix.length));
          return [key, this.#wrap(value as TensorSpec, data)];
        }),
    );
    this.#inputs = used
      .filter(([key]) => key.startsWith(inputPrefix))
      .map(([key, value]) => [key.slice(inputPrefix.length), value as TensorSpec]);
    this.#updated = namesUnder(graph, statePrefix);
    this.#outputs = namesUnder(graph, outputPrefix);
  }

  async run(inputs: Readonly<Record<string, TensorData>>): Promise<Record<string, TensorData>> {
    const feeds: Record<string, OnnxValue> = { ...this.#stateFeeds };
    for (const [name, spec] of this.#inputs) {
      feeds[inputPrefix + name] = this.#wrap(spec, inputs[name]!);
    }
    const results = await this.#session.run(feeds);
    const resultOf = (key: string) => (results[outputName(key)] as Tensor).data as TensorData;
    for (const name of this.#updated) this.#state.read(name).set(resultOf(statePrefix + name));
    return Object.fromEntries(this.#outputs.map((name) => [name, resultOf(outputPrefix + name)]));
  }

  async dispose(): Promise<void> {
    await this.#session.release();
  }

  #wrap(spec: { dtype: DType; shape: readonly number[] }, data: TensorData): Tensor {
    return new this.#tensor(spec.dtype, data, spec.shape);
  }
}

function namesUnder(graph: Graph, prefix: string): readonly string[] {
  return [...graph.outputs.keys()]
    .filter((key) => key.startsWith(prefix))
    .map((key) => key.slice(prefix.length));
}
