import { findProducers, type Graph, type GraphNode, type Value } from './graph.ts';
import { removeDeadCode } from './passes/dead-code.ts';
import { computeRowsApart } from './passes/rows-apart.ts';
import { statePrefix } from './trace-step.ts';

/** What the rest of a step is given by its frozen part. */
const frozenPrefix = 'frozen:';

export interface SplitGraph {
  /**
   * Gives `frozen:<n>/<part>`, parts of `frozen:<n>` along its first axis in their order (`wholeOf`), and the step's own
   * outputs that depend on nothing else.
   */
  readonly frozen: Graph;
  /** Takes `frozen:<n>` as inputs. */
  readonly rest: Graph;
}

/**
 * Cuts a step in two where it reads weights that it never changes (`weights`, names of inputs): what is computed
 * from them and from nothing that the step learns, such as teachers' predictions, is a graph of its own. There
 * the weights can be constants, which the engine prepares once instead of at each run. State that only this part
 * moves, such as teachers' recurrent state, goes with it.
 * @returns nothing where no node would be left on one side.
 */
export function splitFrozenPart(
  graph: Graph,
  weights: ReadonlySet<string>,
): SplitGraph | undefined {
  const belongs = frozenNodes(graph, weights);
  if (belongs.size === 0 || belongs.size === graph.nodes.length) return undefined;
  const results = new Set([...belongs].flatMap((node) => node.outputs));
  const frozenOutputs = new Map([...graph.outputs].filter(([, value]) => results.has(value)));
  const outputs = new Map([...graph.outputs].filter(([, value]) => !results.has(value)));
  const kept = graph.nodes.filter((node) => !belongs.has(node));
  const read = new Set(kept.flatMap((node) => node.inputs));
  const given = new Map<string, Value>();
  for (const value of results)
    if (read.has(value)) given.set(`${frozenPrefix}${given.size}`, value);
  const rest = removeDeadCode({
    inputs: new Map([...graph.inputs, ...given]),
    nodes: kept,
    outputs,
  });
  if (rest.nodes.length === 0) return undefined;
  const frozen = removeDeadCode({
    inputs: graph.inputs,
    nodes: graph.nodes,
    outputs: new Map([...frozenOutputs, ...given]),
  });
  return { frozen: giveInParts(computeRowsApart(frozen)), rest };
}

/** The name of what an output of a frozen part belongs to, if it is handed over to the rest. */
export function wholeOf(name: string): string | undefined {
  return name.startsWith(frozenPrefix) ? name.slice(0, name.lastIndexOf('/')) : undefined;
}

/** What would be put together to be handed over is given as it is: its reader has it side by side. */
function giveInParts(graph: Graph): Graph {
  const producers = findProducers(graph.nodes);
  const outputs = [...graph.outputs].flatMap(([name, value]): (readonly [string, Value])[] => {
    if (!name.startsWith(frozenPrefix)) return [[name, value]];
    const producer = producers.get(value);
    const isConcat = producer?.operator === 'Concat' && producer.attributes.axis === 0;
    const parts = isConcat ? producer.inputs : [value];
    return parts.map((part, index) => [`${name}/${index}`, part]);
  });
  return removeDeadCode({ ...graph, outputs: new Map(outputs) });
}

/** The state that the step changes and a value depends on, as bits, and whether it depends on the weights. */
interface Dependence {
  readonly state: bigint;
  readonly weights: boolean;
}

const independent: Dependence = { state: 0n, weights: false };

/**
 * The nodes that depend on the weights and, of what the step changes, only on what the weights are multiplied
 * with: a teacher's recurrent state, which depends on nothing but the teacher and itself.
 */
function frozenNodes(graph: Graph, weights: ReadonlySet<string>): ReadonlySet<GraphNode> {
  const changed = [...graph.outputs.keys()].filter((key) => key.startsWith(statePrefix));
  const known = new Map<Value, Dependence>();
  for (const [name, value] of graph.inputs) {
    const bit = changed.indexOf(name);
    const state = bit < 0 ? 0n : 1n << BigInt(bit);
    known.set(value, { state, weights: weights.has(name) });
  }
  const of = (value: Value): Dependence => known.get(value) ?? independent;
  let own = 0n;
  for (const { inputs, outputs } of graph.nodes) {
    const all = inputs.map(of);
    const dependence = {
      state: all.reduce((bits, { state }) => bits | state, 0n),
      weights: all.some((each) => each.weights),
    };
    for (const output of outputs) known.set(output, dependence);
    const reads = [...weights].some((name) => inputs.includes(graph.inputs.get(name)!));
    if (reads) own |= dependence.state;
  }
  own = closure(
    own,
    changed.map((key) => of(graph.outputs.get(key)!).state),
  );
  const belongs = new Set(
    graph.nodes.filter(({ outputs }) => {
      const { state, weights: reads } = of(outputs[0]!);
      return reads && (state & ~own) === 0n;
    }),
  );
  return withoutLastReshapes(graph, belongs);
}

/** Other shapes of what is handed over would be handed over as well, as copies. */
function withoutLastReshapes(graph: Graph, nodes: ReadonlySet<GraphNode>): ReadonlySet<GraphNode> {
  const kept = new Set(nodes);
  const needed = new Set<Value>(graph.outputs.values());
  for (const node of [...nodes].reverse()) {
    if (node.operator === 'Reshape' && !needed.has(node.outputs[0]!)) kept.delete(node);
    else for (const input of node.inputs) needed.add(input);
  }
  return kept;
}

/** With every entry also those that its next value depends on. */
function closure(entries: bigint, updates: readonly bigint[]): bigint {
  const more = updates.reduce(
    (all, update, index) => ((all >> BigInt(index)) & 1n ? all | update : all),
    entries,
  );
  return more === entries ? entries : closure(more, updates);
}
