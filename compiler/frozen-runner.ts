import type { OnnxValue, Tensor } from 'onnxruntime-node';
import { frozenPrefix } from './frozen-part.ts';
import type { NativePart } from './native-step.ts';
import { type ModelConstant, outputName, withConstants } from './onnx-model.ts';
import { type Onnxruntime, openSession, type Session } from './onnx-session.ts';
import { QuantisedWeights } from './quantised-weights.ts';
import type { StateMemory } from './state-store.ts';
import { sizeOf } from './tensor-spec.ts';
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
  /** What the rest of the step is given is written to the same memory at each run. */
  readonly #fetches: Readonly<Record<string, Tensor | null>>;
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
    this.#fetches = Object.fromEntries(
      part.outputs.map(([key, { shape, dtype }]) => [
        outputName(key),
        key.startsWith(frozenPrefix) && dtype === 'float32'
          ? new onnxruntime.Tensor(dtype, new Float32Array(sizeOf(shape)), shape)
          : null,
      ]),
    );
  }

  /**
   * `feeds` has what the whole step is fed.
   * @returns what the part gives, by its names in the graph.
   */
  async run(feeds: Readonly<Record<string, OnnxValue>>): Promise<Readonly<Record<string, Tensor>>> {
    const session = await this.#refresh();
    const own = Object.fromEntries(this.#part.inputs.map(([name]) => [name, feeds[name]!]));
    const results = await session.run(own, this.#fetches);
    return Object.fromEntries(
      this.#part.outputs.map(([key]) => [key, results[outputName(key)] as Tensor]),
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
