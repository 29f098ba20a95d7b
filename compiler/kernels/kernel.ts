import type { Value } from '../graph.ts';
import type { GraphBuilder } from '../graph-builder.ts';

/** What a tfjs kernel becomes in a traced graph: it appends nodes and answers the results. */
export type Kernel = (
  graph: GraphBuilder,
  inputs: Readonly<Record<string, Value>>,
  attributes: object,
) => Value | readonly Value[];

/** A kernel can't be compiled with these attributes; the place in the user's code is added later. */
export class UnsupportedError extends Error {}

/** Kernels by tfjs kernel name. */
export type KernelTable = Readonly<Record<string, Kernel>>;

/**
 * Gives a kernel the names of its inputs and the type of its attributes. tfjs checks both before a
 * kernel is called, so this is where its loose types end.
 */
export function kernel<Input extends string, Attributes = object>(
  trace: (
    graph: GraphBuilder,
    inputs: Readonly<Record<Input, Value>>,
    attributes: Attributes,
  ) => Value | readonly Value[],
): Kernel {
  return trace as unknown as Kernel;
}

/** A kernel whose inputs are a list: Concat, Pack, AddN. */
export function listKernel<Attributes = object>(
  trace: (
    graph: GraphBuilder,
    inputs: readonly Value[],
    attributes: Attributes,
  ) => Value | readonly Value[],
): Kernel {
  return (graph, inputs, attributes) =>
    trace(graph, Object.values(inputs), attributes as Attributes);
}

/** ONNX has no arithmetic on bools; tfjs counts them as 0 and 1. */
export function numeric(graph: GraphBuilder, x: Value): Value {
  return x.dtype === 'bool' ? graph.cast(x, 'int32') : x;
}

/** Axes as tfjs takes them (one, several, or none for all; negative from the end), sorted. */
export function resolveAxes(
  axis: number | readonly number[] | null | undefined,
  rank: number,
): readonly number[] {
  if (axis === null || axis === undefined) return Array.from({ length: rank }, (_, i) => i);
  const axes = typeof axis === 'number' ? [axis] : axis;
  return axes.map((each) => (each < 0 ? each + rank : each)).sort((a, b) => a - b);
}
