import type { OnnxValue, Tensor } from 'onnxruntime-node';
import { wholeOf } from './frozen-part.ts';
import type { NativePart } from './native-step.ts';
import { type ModelConstant, outputName, withConstants } from './onnx-model.ts';
import { type Onnxruntime, openSession, type Session } from './onnx-session.ts';
import { QuantisedWeights } from './quantised-weights.ts';
import type { StateMemory } from './state-store.ts';
import { byteLengthOf, type TensorSpec, viewOf } from './tensor-spec.ts';
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
  /** Where each output is written; null for what onnxruntime allocates and the binding copies. */
  readonly #fetches: Readonly<Record<string, Tensor | null>>;
  /** What the rest of the step is given, over the same memory. */
  readonly #wholes: Readonly<Record<string, Tensor>>;
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
    const { fetches, wholes } = placesFor(onnxruntime, part.outputs);
    this.#fetches = fetches;
    this.#wholes = wholes;
  }

  /**
   * `feeds` has what the whole step is fed.
   * @returns what the part gives, by its names in the graph.
   */
  async run(feeds: Readonly<Record<string, OnnxValue>>): Promise<Readonly<Record<string, Tensor>>> {
    const session = await this.#refresh();
    const own = Object.fromEntries(this.#part.inputs.map(([name]) => [name, feeds[name]!]));
    const results = await session.run(own, this.#fetches);
    const others = this.#part.outputs
      .filter(([key]) => wholeOf(key) === undefined)
      .map(([key]) => [key, results[outputName(key)] as Tensor]);
    return { ...this.#wholes, ...Object.fromEntries(others) };
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

/** Memory for what is handed over: parts side by side. */
function placesFor({ Tensor }: Onnxruntime, outputs: NativePart['outputs']) {
  const fetches: Record<string, Tensor | null> = {};
  const wholes: Record<string, Tensor> = {};
  for (const [whole, parts] of Map.groupBy(outputs, ([key]) => wholeOf(key))) {
    for (const [key] of parts) fetches[outputName(key)] = null;
    if (whole === undefined) continue;
    const spec = sideBySide(parts.map(([, part]) => part));
    const buffer = new ArrayBuffer(byteLengthOf(spec));
    wholes[whole] = new Tensor(spec.dtype, viewOf(spec, buffer), spec.shape);
    let byteOffset = 0;
    for (const [key, part] of parts) {
      const data = viewOf(part, buffer, byteOffset);
      fetches[outputName(key)] = new Tensor(part.dtype, data, part.shape);
      byteOffset += byteLengthOf(part);
    }
  }
  return { fetches, wholes };
}

/** Parts along the first axis; a scalar is its only part. */
function sideBySide(parts: readonly TensorSpec[]): TensorSpec {
  const [{ shape, dtype }] = parts as [TensorSpec];
  if (parts.length === 1) return { shape, dtype };
  return {
    shape: shape.with(
      0,
      parts.reduce((sum, part) => sum + part.shape[0]!, 0),
    ),
    dtype,
  };
}
