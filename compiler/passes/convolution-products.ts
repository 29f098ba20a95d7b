import type { Value } from '../graph.ts';
import type { GraphBuilder } from '../graph-builder.ts';
import { sizeOf } from '../tensor-spec.ts';
import { addUpThrough, isPointwise, placesOf, viewsThrough, type Windows } from '../windows.ts';

/**
 * What the window saw at each place of the result: [batch · …out, window · channels], of `x`
 * [batch, …in, channels].
 */
export function seenThrough(graph: GraphBuilder, x: Value, windows: Windows): Value {
  const views = isPointwise(windows) ? [x] : viewsThrough(graph, x, windows);
  const seen = graph.concat(views, x.shape.length - 1);
  return graph.reshape(seen, [sizeOf(seen.shape.slice(0, -1)), seen.shape.at(-1)!]);
}

/** The same transposed, [window · channels, batch · …out]. */
export function seenByChannels(graph: GraphBuilder, x: Value, windows: Windows): Value {
  const last = x.shape.length - 1;
  const outermost = graph.transpose(x, [last, ...x.shape.slice(0, last).keys()]);
  const seen = graph.concat(viewsThrough(graph, outermost, windows, 2), 0);
  return graph.reshape(seen, [seen.shape[0]!, sizeOf(seen.shape.slice(1))]);
}

/**
 * The gradient of a convolution's filter, [window · inputs, outputs], as one product for each place of the window:
 * of `x` [batch, …in, inputs], transposed once, with `dy` [batch, …out, outputs], moved by the place.
 * That writes a third of what the window sees, in longer runs. With strides, what a place of the
 * window meets of x is taken out first.
 */
export function productFilterGradient(
  graph: GraphBuilder,
  x: Value,
  dy: Value,
  windows: Windows,
): Value {
  const { strides, dilations, before } = windows;
  const [inputs, outputs] = [x.shape.at(-1)!, dy.shape.at(-1)!];
  const kept = new Map<string, Value>();
  const products = placesOf(windows).map((place) => {
    const first = place.map((offset, axis) => offset * dilations[axis]! - before[axis]!);
    const steps = first.map((each, axis) => Math.floor(each / strides[axis]!));
    const starts = first.map((each, axis) => each - steps[axis]! * strides[axis]!);
    const sizes = windows.inSizes.map((size, axis) =>
      Math.ceil((size - starts[axis]!) / strides[axis]!),
    );
    if (!meets(steps, sizes, windows)) return graph.splat(0, x.dtype, [inputs, outputs]);
    const key = String(starts);
    const left = kept.get(key) ?? everyStride(graph, x, starts, sizes, windows);
    kept.set(key, left);
    const rest = sizes.map((size, axis) => size - windows.outSizes[axis]! - steps[axis]!);
    const moved = graph.pad(dy, [0, ...steps, 0], [0, ...rest, 0], 0);
    return graph.gemm(left, graph.reshape(moved, [left.shape[1]!, outputs]));
  });
  return graph.concat(products, 0);
}

/** Whether anything is left of dy once it is moved by `steps` into images of `sizes`. */
function meets(steps: readonly number[], sizes: readonly number[], { outSizes }: Windows): boolean {
  return steps.every((step, axis) => step < sizes[axis]! && step + outSizes[axis]! > 0);
}

/** Of `x` what lies at `starts` and whole strides from there, [inputs, batch · …sizes]. */
function everyStride(
  graph: GraphBuilder,
  x: Value,
  starts: readonly number[],
  sizes: readonly number[],
  { inSizes, strides }: Windows,
): Value {
  const axes = starts.map((_, axis) => axis + 1);
  const shape = [x.shape[0]!, ...sizes, x.shape.at(-1)!];
  const attributes = { starts, ends: inSizes, axes, steps: strides };
  const isAll = strides.every((stride) => stride === 1);
  const taken = isAll ? x : graph.add('Slice', [x], { shape, dtype: x.dtype }, attributes);
  const rows = graph.reshape(taken, [sizeOf(shape.slice(0, -1)), shape.at(-1)!]);
  return graph.transpose(rows, [1, 0]);
}

/**
 * The gradient of a convolution's input as one product, `dy · filterᵀ`, whose columns are then added
 * up where the window had read them. `dy` is [batch, …out, outputs], `filter` a matrix
 * [window · inputs, outputs]; dilations are 1.
 */
export function productInputGradient(
  graph: GraphBuilder,
  dy: Value,
  filter: Value,
  windows: Windows,
): Value {
  const { sizes, outSizes } = windows;
  const rows = graph.reshape(dy, [sizeOf(dy.shape.slice(0, -1)), dy.shape.at(-1)!]);
  const columns = graph.gemm(rows, filter, false, true);
  const places = sizeOf(sizes);
  const channels = filter.shape[0]! / places;
  const shape = [dy.shape[0]!, ...outSizes, channels];
  const parts = split(graph, columns, places).map((part) => graph.reshape(part, shape));
  return addUpThrough(graph, parts, windows);
}

function split(graph: GraphBuilder, x: Value, parts: number): readonly Value[] {
  if (parts === 1) return [x];
  const width = x.shape[1]! / parts;
  const outputs = new Array(parts).fill({ shape: [x.shape[0]!, width], dtype: x.dtype });
  const attributes = { axis: 1, split: new Array<number>(parts).fill(width) };
  return graph.addMany('Split', [x], outputs, attributes);
}
