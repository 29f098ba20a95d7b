import type { OnnxValue, Tensor, TensorConstructor } from 'onnxruntime-node';
import { channelBlock } from './channel-block.ts';
import type { EngineJob } from './engine.ts';
import { FrozenRunner } from './frozen-runner.ts';
import type { Graph } from './graph.ts';
import { compileNativeStep, type NativeStep, type NativeStepOptions } from './native-step.ts';
import { outputName } from './onnx-model.ts';
import { loadOnnxruntime, openSession, type Session } from './onnx-session.ts';
import type { Processor } from './passes/lower-convolutions.ts';
import { QuantisedWeights } from './quantised-weights.ts';
import type { StateMemory } from './state-store.ts';
import type { StepRunner } from './step-runner.ts';
import { type DType, type TensorData, type TensorSpec, viewOf } from './tensor-spec.ts';
import { inputPrefix, outputPrefix, statePrefix } from './trace-step.ts';
import { UpdateRunner } from './update-runner.ts';

/** Makes a traced step one native session that reads weights where the state keeps them. */
export async function createOnnxRunner(
  { graph: traced, state, threads, int8Weights, profilePrefix, whole }: EngineJob,
  provider: 'cpu' | 'cuda',
): Promise<StepRunner> {
  const onnxruntime = await loadOnnxruntime();
  await state.toHost();
  const { native, updates } = await compileForState(traced!, state, {
    target: provider === 'cpu' ? await findProcessor(traced!) : 'any',
    // Only the processor has products of bytes.
    int8Inputs: provider === 'cpu' ? int8Weights.map((name) => statePrefix + name) : [],
  });
  const session = await openSession(onnxruntime, native.model, {
    provider,
    threads,
    profilePrefix,
    whole: whole && provider !== 'cpu',
  });
  const quantised = native.quantised.map(
    ({ shape, ...input }) => new QuantisedWeights(input, shape as [number, number]),
  );
  const frozen =
    native.frozen &&
    new FrozenRunner(onnxruntime, native.frozen, state, {
      threads,
      profilePrefix: profilePrefix && `${profilePrefix}-frozen`,
    });
  return new OnnxRunner(onnxruntime.Tensor, session, native, { state, updates, quantised, frozen });
}

/** What of the processor matters to this graph. */
async function findProcessor({ nodes }: Graph): Promise<Processor> {
  const convolves = nodes.some(({ operator }) => operator.startsWith('Convolution'));
  return { channelBlock: convolves ? await channelBlock() : 1 };
}

/** Takes the optimizer's part out of the model where WebAssembly can do it in one pass. */
async function compileForState(
  graph: Graph,
  state: StateMemory,
  options: Omit<NativeStepOptions, 'fuseUpdates'>,
): Promise<{ readonly native: NativeStep; readonly updates: UpdateRunner | undefined }> {
  if (state.memory !== undefined) {
    const native = await compileNativeStep(graph, { ...options, fuseUpdates: true });
    if (native.updates.length === 0) return { native, updates: undefined };
    try {
      return { native, updates: await UpdateRunner.create(native.updates, state) };
    } catch (error) {
      // A host without vector instructions or several memories, or out of address space.
      if (!(error instanceof WebAssembly.CompileError) && !(error instanceof RangeError))
        throw error;
    }
  }
  const native = await compileNativeStep(graph, { ...options, fuseUpdates: false });
  return { native, updates: undefined };
}

class OnnxRunner implements StepRunner {
  readonly #tensor: TensorConstructor;
  readonly #session: Session;
  readonly #state: StateMemory;
  readonly #stateFeeds: Readonly<Record<string, Tensor>>;
  readonly #inputs: readonly [name: string, spec: TensorSpec][];
  /** Names of what the session is fed; its frozen part reads other things. */
  readonly #fed: readonly string[];
  readonly #updated: readonly string[];
  readonly #outputs: readonly string[];
  readonly #updates: UpdateRunner | undefined;
  readonly #quantised: readonly QuantisedWeights[];
  readonly #frozen: FrozenRunner | undefined;
  /** Of what the session gives, by the graph's names. */
  readonly #specs: ReadonlyMap<string, TensorSpec>;
  /** What a run's results are written into; null lets onnxruntime allocate. */
  #fetches: Record<string, Tensor | null>;
  #scratchBuffer: ArrayBufferLike | undefined;

  constructor(
    tensor: TensorConstructor,
    session: Session,
    native: NativeStep,
    memory: {
      readonly state: StateMemory;
      readonly updates: UpdateRunner | undefined;
      readonly quantised: readonly QuantisedWeights[];
      readonly frozen: FrozenRunner | undefined;
    },
  ) {
    const { state, updates, quantised, frozen } = memory;
    this.#tensor = tensor;
    this.#session = session;
    this.#state = state;
    this.#quantised = quantised;
    this.#frozen = frozen;
    this.#stateFeeds = {
      ...Object.fromEntries(
        inputsOf(native)
          .filter(([key]) => key.startsWith(statePrefix))
          .map(([key, spec]) => {
            return [key, this.#wrap(spec, state.read(key.slice(statePrefix.length)))];
          }),
      ),
      ...Object.fromEntries(
        quantised.flatMap(({ input, shape, values, scales }) => [
          [input.values, new tensor('int8', values, shape)],
          [input.scales, new tensor('float32', scales, [shape[1]])],
        ]),
      ),
    };
    this.#inputs = inputsOf(native)
      .filter(([key]) => key.startsWith(inputPrefix))
      .map(([key, spec]) => [key.slice(inputPrefix.length), spec]);
    this.#fed = [
      ...native.inputs.map(([key]) => key),
      ...quantised.flatMap(({ input }) => [input.values, input.scales]),
    ];
    this.#updated = namesUnder(native, statePrefix);
    this.#outputs = namesUnder(native, outputPrefix);
    this.#updates = updates;
    this.#specs = new Map(native.outputs);
    this.#fetches = Object.fromEntries(native.outputs.map(([key]) => [outputName(key), null]));
  }

  async run(inputs: Readonly<Record<string, TensorData>>): Promise<Record<string, TensorData>> {
    for (const weights of this.#quantised) {
      weights.refresh(this.#state, weights.input.source.slice(statePrefix.length));
    }
    const feeds: Record<string, OnnxValue> = { ...this.#stateFeeds };
    for (const [name, spec] of this.#inputs) {
      feeds[inputPrefix + name] = this.#wrap(spec, inputs[name]!);
    }
    this.#bindScratch();
    const frozen = (await this.#frozen?.run(feeds)) ?? {};
    const fed = Object.fromEntries(this.#fed.map((key) => [key, frozen[key] ?? feeds[key]!]));
    const results = await this.#session.run(fed, this.#fetches);
    const resultOf = (key: string) =>
      (frozen[key] ?? (results[outputName(key)] as Tensor)).data as TensorData;
    this.#updates?.run((key) => resultOf(key)[0]!);
    for (const name of this.#updated) this.#state.read(name).set(resultOf(statePrefix + name));
    return Object.fromEntries(this.#outputs.map((name) => [name, resultOf(outputPrefix + name)]));
  }

  async dispose(): Promise<void> {
    await this.#frozen?.dispose();
    await this.#session.release();
  }

  /** Lets the native run write where the fused updates read; the memory moves when it grows. */
  #bindScratch(): void {
    const buffer = this.#updates?.scratch.buffer;
    if (buffer === undefined || buffer === this.#scratchBuffer) return;
    for (const { key, byteOffset } of this.#updates!.slots) {
      const spec = this.#specs.get(key)!;
      this.#fetches[outputName(key)] = this.#wrap(spec, viewOf(spec, buffer, byteOffset));
    }
    this.#scratchBuffer = buffer;
  }

  #wrap(spec: { dtype: DType; shape: readonly number[] }, data: TensorData): Tensor {
    return new this.#tensor(spec.dtype, data, spec.shape);
  }
}

/** What either part of a step reads. */
function inputsOf({ inputs, frozen }: NativeStep): NativeStep['inputs'] {
  return [...new Map([...inputs, ...(frozen?.inputs ?? [])])];
}

function namesUnder({ outputs, frozen }: NativeStep, prefix: string): readonly string[] {
  return [...outputs, ...(frozen?.outputs ?? [])]
    .map(([key]) => key)
    .filter((key) => key.startsWith(prefix))
    .map((key) => key.slice(prefix.length));
}
