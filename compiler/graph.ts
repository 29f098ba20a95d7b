import type { DType } from './tensor-spec.ts';

/**
 * Inside a graph indices may be 64 bits wide, as ONNX wants them in a few places, and weights that are
 * only read may be held in 8.
 */
export type ElementType = DType | 'int64' | 'int8';

/** What is known of a value before the step runs: one number everywhere, or every element. */
export type Constant =
  | { readonly splat: number }
  | { readonly data: Float32Array | Int32Array | Uint8Array };

/** One tensor in a graph. Its identity is the object itself; names are given when it is written. */
export interface Value {
  readonly shape: readonly number[];
  readonly dtype: ElementType;
  readonly constant?: Constant;
}

/** Stands where an operator's optional input is left out and a later one is given. */
export const absentValue: Value = { shape: [0], dtype: 'float32' };

export type Attributes = Readonly<Record<string, number | string | readonly number[]>>;

/**
 * One operation. Operators are ONNX's (opset 18), except that shapes, axes and the like are attributes
 * here even where ONNX takes them as tensors: passes read them, and the writer makes the tensors.
 */
export interface GraphNode {
  readonly operator: string;
  readonly inputs: readonly Value[];
  readonly outputs: readonly Value[];
  readonly attributes: Attributes;
}

/** A traced step: nodes in an order in which they can run. */
export interface Graph {
  readonly inputs: ReadonlyMap<string, Value>;
  readonly nodes: readonly GraphNode[];
  readonly outputs: ReadonlyMap<string, Value>;
}

/** How often each value is read, by nodes and as an output of the graph. */
export function countUses(graph: Graph): Map<Value, number> {
  const uses = new Map<Value, number>();
  const count = (value: Value) => uses.set(value, (uses.get(value) ?? 0) + 1);
  for (const node of graph.nodes) node.inputs.forEach(count);
  for (const value of graph.outputs.values()) count(value);
  return uses;
}

/** The node that computes each value; inputs and constants have none. */
export function findProducers(nodes: readonly GraphNode[]): Map<Value, GraphNode> {
  const producers = new Map<Value, GraphNode>();
  for (const node of nodes) for (const output of node.outputs) producers.set(output, node);
  return producers;
}

/** The number that a value holds in every element, if that is known; a one-element array counts. */
export function splatOf(value: Value | undefined): number | undefined {
  const constant = value?.constant;
  if (constant === undefined) return undefined;
  if ('splat' in constant) return constant.splat;
  return constant.data.length === 1 ? constant.data[0] : undefined;
}
