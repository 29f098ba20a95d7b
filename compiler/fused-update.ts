import {
  countUses,
  findProducers,
  type Graph,
  type GraphNode,
  splatOf,
  type Value,
} from './graph.ts';
import { isScalar } from './graph-builder.ts';
import { removeDeadCode } from './passes/dead-code.ts';
import { sameShape, sizeOf } from './tensor-spec.ts';
import { outputPrefix, statePrefix } from './trace-step.ts';
import {
  type ElementwiseProgram,
  type Instruction,
  isVectorOperator,
  type Operand,
} from './wasm-module.ts';

/** Outputs of the native part of a step that only its fused updates read. */
const updatePrefix = 'update:';

/** Below this many elements an update is cheaper as one more node of the graph. */
const FUSED_ELEMENTS_MIN = 1024;

/** One pass over the elements of some state entries that share a shape. */
export interface FusedUpdate {
  readonly program: ElementwiseProgram;
  /** Of each state entry. */
  readonly shape: readonly number[];
  /** For each tensor of the program: `state:<name>`, or an output of the graph of as many elements, `update:<n>`. */
  readonly tensors: readonly string[];
  /** For each scalar of the program: an output of the graph, `update:<n>`. */
  readonly scalars: readonly string[];
}

export interface SplitStep {
  /** The rest, with outputs `update:<n>` for what the fused updates need. */
  readonly graph: Graph;
  readonly updates: readonly FusedUpdate[];
}

/**
 * Splits a step in two: the elementwise operations at its end that only produce new state (what an
 * optimizer does to every weight), and the rest. A native engine would run each operation as a pass
 * of its own over all weights: Adam reads and writes ten times as much memory so.
 */
export function splitFusedUpdates(graph: Graph): SplitStep {
  const tail = findTail(graph);
  const outputs = new Map([...graph.outputs].filter(([, value]) => !tail.results.has(value)));
  const keys = new Map<Value, string>();
  for (const [key, value] of graph.inputs) if (key.startsWith(statePrefix)) keys.set(value, key);
  const producers = findProducers(graph.nodes);
  const keyOf = (result: Value): string => {
    // Elementwise operations need no shape, and as an output of the graph it would be a copy.
    const value = beforeReshapes(result, producers);
    const known = keys.get(value);
    // A scalar is handed over by value, so it comes out of the graph even if it is state.
    if (known !== undefined && !(isScalar(value) && known.startsWith(statePrefix))) return known;
    const key = `${updatePrefix}${outputs.size}`;
    outputs.set(key, value);
    keys.set(value, key);
    return key;
  };
  const updates = groupConnected(tail.nodes, graph).map((nodes) =>
    fuse(nodes, stateOutputs(graph), keyOf),
  );
  const nodes = graph.nodes.filter((node) => !tail.nodes.includes(node));
  return { graph: removeDeadCode({ inputs: graph.inputs, nodes, outputs }), updates };
}

/** What a value was before it was reshaped, if that was computed: state must be read as it was before the updates. */
function beforeReshapes(value: Value, producers: ReadonlyMap<Value, GraphNode>): Value {
  const node = producers.get(value);
  if (node?.operator !== 'Reshape') return value;
  const [source] = node.inputs as [Value];
  return producers.has(source) ? beforeReshapes(source, producers) : value;
}

interface Tail {
  /** In the graph's order. */
  readonly nodes: readonly GraphNode[];
  readonly results: ReadonlySet<Value>;
}

/** The nodes whose results only reach state, through elementwise operations alone. */
function findTail(graph: Graph): Tail {
  const results = new Set<Value>();
  const nodes: GraphNode[] = [];
  const pendingUses = countUses(graph);
  const use = (value: Value) => pendingUses.set(value, pendingUses.get(value)! - 1);
  for (const [key, value] of graph.outputs) if (!key.startsWith(outputPrefix)) use(value);
  for (const node of graph.nodes.toReversed()) {
    const [result] = node.outputs as [Value];
    // All uses accounted for: each is a state entry or a node of the tail.
    if (!canFuse(node) || pendingUses.get(result) !== 0) continue;
    nodes.push(node);
    results.add(result);
    node.inputs.forEach(use);
  }
  return { nodes: nodes.reverse(), results };
}

function canFuse({ operator, inputs, outputs }: GraphNode): boolean {
  const [result] = outputs as [Value];
  if (!isVectorOperator(operator) && operator !== 'Reciprocal') return false;
  if (result.dtype !== 'float32' || sizeOf(result.shape) < FUSED_ELEMENTS_MIN) return false;
  return inputs.every(
    (input) =>
      splatOf(input) !== undefined ||
      (input.constant === undefined && (isScalar(input) || sameShape(input.shape, result.shape))),
  );
}

function stateOutputs(graph: Graph): ReadonlyMap<Value, readonly string[]> {
  const keys = [...graph.outputs.keys()].filter((key) => key.startsWith(statePrefix));
  return Map.groupBy(keys, (key) => graph.outputs.get(key)!);
}

/**
 * Nodes that share a tensor belong into one pass. For state this is more than thrift: an entry must
 * not be updated before every other pass has read it.
 */
function groupConnected(
  nodes: readonly GraphNode[],
  graph: Graph,
): readonly (readonly GraphNode[])[] {
  const inputs = new Set(graph.inputs.values());
  const parent = new Map<unknown, unknown>();
  const find = (item: unknown): unknown => {
    const next = parent.get(item) ?? item;
    return next === item ? item : find(next);
  };
  const results = new Set(nodes.flatMap((node) => node.outputs));
  for (const node of nodes) {
    for (const value of [...node.inputs, ...node.outputs]) {
      if (isScalar(value) || !(results.has(value) || inputs.has(value))) continue;
      parent.set(find(value), find(node));
    }
  }
  return [...Map.groupBy(nodes, find).values()];
}

function fuse(
  nodes: readonly GraphNode[],
  stateKeys: ReadonlyMap<Value, readonly string[]>,
  keyOf: (value: Value) => string,
): FusedUpdate {
  const tensors: string[] = [];
  const scalars: string[] = [];
  const operands = new Map<Value, Operand>();
  const instructions: Instruction[] = [];
  const operandOf = (value: Value): Operand => {
    const known = operands.get(value);
    if (known !== undefined) return known;
    const constant = splatOf(value);
    if (constant !== undefined) return { constant: Math.fround(constant) };
    const operand = isScalar(value)
      ? { scalar: scalars.push(keyOf(value)) - 1 }
      : { tensor: tensors.push(keyOf(value)) - 1 };
    operands.set(value, operand);
    return operand;
  };
  for (const node of nodes) {
    const { operator } = node;
    const given = node.inputs.map(operandOf);
    const instruction: Instruction = isVectorOperator(operator)
      ? { operator, operands: given }
      : { operator: 'Div', operands: [{ constant: 1 }, ...given] };
    operands.set(node.outputs[0]!, { result: instructions.push(instruction) - 1 });
  }
  const stores = nodes.flatMap((node) =>
    (stateKeys.get(node.outputs[0]!) ?? []).map((key) => {
      const read = tensors.indexOf(key);
      const tensor = read >= 0 ? read : tensors.push(key) - 1;
      return { tensor, value: operands.get(node.outputs[0]!)! };
    }),
  );
  const memories = tensors.map((key) => (key.startsWith(statePrefix) ? 0 : 1));
  return {
    program: { tensors: memories, scalarCount: scalars.length, instructions, stores },
    shape: nodes[0]!.outputs[0]!.shape,
    tensors,
    scalars,
  };
}
