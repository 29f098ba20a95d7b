import { createHash } from 'node:crypto';
import { deserialize, serialize } from 'node:v8';
import { cacheFolder, FileCache, sourcesHash } from '../file-cache.ts';
import { splitFrozenPart } from './frozen-part.ts';
import { type FusedUpdate, splitFusedUpdates } from './fused-update.ts';
import type { Graph, Value } from './graph.ts';
import { graphHash } from './graph-hash.ts';
import { usedInputs, writeOnnxModel } from './onnx-model.ts';
import { optimise } from './optimise.ts';
import type { Target } from './passes/lower-convolutions.ts';
import type { QuantisedInput } from './passes/quantise-products.ts';
import type { TensorSpec } from './tensor-spec.ts';

const CACHE_BYTES_MAX = 256 << 20;
const FORMAT = 'native step 4';
/** A smaller graph is compiled sooner than its entry is found and read. */
const CACHED_NODES_MIN = 200;

export interface NativeStepOptions {
  /** What will run the model. */
  readonly target: Target;
  /** Inputs of the graph whose products are computed in int8. */
  readonly int8Inputs: readonly string[];
  /** Take the optimizer's elementwise end out of the model. */
  readonly fuseUpdates: boolean;
}

/** One model of a step. */
export interface NativePart {
  /** In ONNX. */
  readonly model: Uint8Array;
  /** What the model reads, but for quantised weights. */
  readonly inputs: readonly (readonly [name: string, spec: TensorSpec])[];
  /** The graph's names of what the model gives; the model says `new` before each. */
  readonly outputs: readonly (readonly [name: string, spec: TensorSpec])[];
  readonly quantised: readonly QuantisedWeightsSpec[];
}

export type QuantisedWeightsSpec = QuantisedInput & { readonly shape: readonly number[] };

/** All that a runner needs of a step: what is left of its graph once it is compiled. */
export interface NativeStep extends NativePart {
  /** What follows the model's run. */
  readonly updates: readonly FusedUpdate[];
  /** Runs before the rest; its quantised weights are to be constants of its model. */
  readonly frozen: NativePart | undefined;
}

/**
 * Optimises a traced graph and writes it as a model, once per machine: the result is kept in the user's cache under
 * a hash of the graph, the options and this folder's code (see `cacheFolder`).
 */
export async function compileNativeStep(
  graph: Graph,
  options: NativeStepOptions,
): Promise<NativeStep> {
  const folder = cacheFolder('steps');
  if (folder === undefined || graph.nodes.length < CACHED_NODES_MIN) return compile(graph, options);
  const cache = new FileCache(folder, { bytesMax: CACHE_BYTES_MAX });
  const key = createHash('sha256')
    .update(JSON.stringify([FORMAT, ownHash(), options, graphHash(graph)]))
    .digest('hex');
  const known = decode(await cache.read(key));
  if (known !== undefined) return known;
  const step = compile(graph, options);
  const { model, ...rest } = step;
  // Not JSON, which has neither minus zero nor infinity.
  await cache.write(key, { model, rest: serialize(rest) });
  return step;
}

function compile(traced: Graph, options: NativeStepOptions): NativeStep {
  const { target, int8Inputs } = options;
  const { graph, inputs } = optimise(traced, { target, int8Inputs: new Set(int8Inputs) });
  const quantised = inputs.map((input) => ({
    ...input,
    shape: traced.inputs.get(input.source)!.shape,
  }));
  const weights = new Set(quantised.flatMap(({ values, scales }) => [values, scales]));
  const split = splitFrozenPart(graph, weights);
  const whole = split?.rest ?? graph;
  const { graph: rest, updates } = options.fuseUpdates
    ? splitFusedUpdates(whole)
    : { graph: whole, updates: [] };
  const frozen = split && writePart(split.frozen, quantised, weights);
  return { ...writePart(rest, quantised), updates, frozen };
}

/** `pending`: names of inputs that become constants of the model. */
function writePart(
  graph: Graph,
  allQuantised: readonly QuantisedWeightsSpec[],
  pending: ReadonlySet<string> = new Set(),
): NativePart {
  const used = usedInputs(graph);
  const quantised = allQuantised.filter(({ values }) => used.has(values));
  const made = new Set(quantised.flatMap(({ values, scales }) => [values, scales]));
  return {
    model: writeOnnxModel(graph, { pending }),
    inputs: [...used]
      .filter(([name]) => !made.has(name))
      .map(([name, value]) => [name, specOf(value)] as const),
    outputs: [...graph.outputs].map(([name, value]) => [name, specOf(value)] as const),
    quantised,
  };
}

function specOf({ shape, dtype }: Value): TensorSpec {
  return { shape, dtype } as TensorSpec;
}

function decode(files: Readonly<Record<string, Uint8Array>> | undefined): NativeStep | undefined {
  if (files === undefined) return undefined;
  try {
    return { ...(deserialize(files.rest!) as Omit<NativeStep, 'model'>), model: files.model! };
  } catch {
    // Written by a later version of the JavaScript engine.
    return undefined;
  }
}

let ownHashKnown: string | undefined;

function ownHash(): string {
  ownHashKnown ??= sourcesHash(new URL('.', import.meta.url));
  return ownHashKnown;
}
