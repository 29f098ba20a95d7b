import type { OnnxValue, Tensor } from 'onnxruntime-node';
import type { NativePart } from './native-step.ts';
import { type ModelConstant, outputName, withConstants } from './onnx-model.ts';
import { type Onnxruntime, openSession, type Session } from './onnx-session.ts';
import { QuantisedWeights } from './quantised-weights.ts';
import type { StateMemory } from './state-store.ts';
import { statePrefix } from './trace-step.ts';

/**
 * Runs the part of a step that reads weights which it never changes. They are constants of its session: the engine
 * lays them out once, where it would do so at each run. After a change of the weights the session is opened
 * anew, which takes as long as some steps.
 */
export class FrozenRunner {
  readonly #onnxruntime: Onnxruntime;
  readonly #part: NativePart;
  readonly #state: StateMemory;
  readonly #settings: { readonly threads: number; readonly profilePrefix: string | undefined };
  readonly #weights: readonly QuantisedWeights[];
  #session: Session | undefined;

  constructor(
    onnxruntime: Onnxruntime,
    part: NativePart,
    state: StateMemory,
    settings: { readonly threads: number; readonly profilePrefix: string | undefined },
  ) {
    this.#onnxruntime = onnxruntime;
    this.#part = part;
    this.#state = state;
    this.#settings = settings;
    this.#weights = part.quantised.map(
      ({ shape, ...input }) => new QuantisedWeights(input, shape as [number, number]),
    );
  }

  /**
   * `feeds` has what the whole step is fed.
   * @returns what the part gives, by its names in the graph.
   */
  async run(feeds: Readonly<Record<string, OnnxValue>>): Promise<Readonly<Record<string, Tensor>>> {
    const session = await this.#refresh();
    const own = Object.fromEntries(this.#part.inputs.map(([name]) => [name, feeds[name]!]));
    const results = await session.run(own);
    return Object.fromEntries(
      this.#part.outputs.map(([key]) => [key, feedable(results[outputName(key)] as Tensor)]),
    );
  }

  async dispose(): Promise<void> {
    await this.#session?.release();
    this.#session = undefined;
  }

  async #refresh(): Promise<Session> {
    const isChanged = this.#weights
      .map((weights) =>
        weights.refresh(this.#state, weights.input.source.slice(statePrefix.length)),
      )
      .some((changed) => changed);
    if (this.#session !== undefined && !isChanged) return this.#session;
    await this.dispose();
    const constants = this.#weights.flatMap(
      ({ input, shape, values, scales }): readonly ModelConstant[] => [
        { name: input.values, shape, data: values },
        { name: input.scales, shape: [shape[1]], data: scales },
      ],
    );
    const model = withConstants(this.#part.model, constants);
    this.#session = await openSession(this.#onnxruntime, model, {
      provider: 'cpu',
      ...this.#settings,
    });
    return this.#session;
  }
}

/**
 * A result as the native library takes it back: onnxruntime 1.30 makes `Float16Array`s, where there are any, and can't
 * read them (it finds no bytes).
 */
function feedable(tensor: Tensor): Tensor {
  if (tensor.type !== 'float16') return tensor;
  const { type, dims, location, data } = tensor;
  const { buffer, byteOffset, length } = data as Uint16Array;
  return { type, dims, location, data: new Uint16Array(buffer, byteOffset, length) } as Tensor;
}
