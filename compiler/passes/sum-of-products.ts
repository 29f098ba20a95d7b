import { countUses, findProducers, type Graph, type GraphNode, type Value } from '../graph.ts';
import type { GraphBuilder } from '../graph-builder.ts';
import { rewriteGraph } from './rewrite-graph.ts';

/**
 * Turns a sum of products into one product of concatenations:
 *
 *     A₁ᵀ·B₁ + A₂ᵀ·B₂ + … = [A₁; A₂; …]ᵀ · [B₁; B₂; …]
 *
 * and a sum of column sums likewise into the column sums of one matrix. That is what automatic
 * gradients make of a recurrent layer's weights and biases: one term for each time step, each as
 * large as the weights. The terms are rounded in another order.
 */
export function joinSumsOfProducts(graph: Graph): Graph {
  const inner = findInnerSums(graph);
  return rewriteGraph(graph, (node, builder, uses) => {
    if (node.operator !== 'Add' || inner.has(node.outputs[0]!)) return undefined;
    // Back-propagation adds from the last time step to the first.
    const terms = collectTerms(node, inner, builder).reverse();
    const groups = [...Map.groupBy(terms, (term) => kindOf(term, builder, uses)).entries()];
    if (!groups.some(([kind, { length }]) => kind !== 'other' && length > 1)) return undefined;
    const parts = groups.flatMap(([kind, values]) =>
      kind === 'other' || values.length === 1 ? values : [join(values, builder)],
    );
    return [parts.reduce((sum, part) => builder.binary('Add', sum, part))];
  });
}

/** Sums that only another sum reads. */
function findInnerSums(graph: Graph): ReadonlySet<Value> {
  const uses = countUses(graph);
  const producers = findProducers(graph.nodes);
  const sums = graph.nodes.filter((node) => node.operator === 'Add');
  return new Set(
    sums
      .flatMap((node) => node.inputs)
      .filter((input) => producers.get(input)?.operator === 'Add' && uses.get(input) === 1),
  );
}

function collectTerms(sum: GraphNode, inner: ReadonlySet<Value>, builder: GraphBuilder): Value[] {
  return sum.inputs.flatMap((input) => {
    const producer = builder.producer(input);
    const isInner = producer?.operator === 'Add' && inner.has(input);
    return isInner ? collectTerms(producer, inner, builder) : [input];
  });
}

/** Terms of one kind can be joined; `other` ones can't. */
function kindOf(term: Value, builder: GraphBuilder, uses: (value: Value) => number): string {
  const node = builder.producer(term);
  if (node === undefined || uses(term) !== 1) return 'other';
  const { operator, inputs, attributes } = node;
  if (operator === 'Gemm' && inputs.length === 2 && attributes.alpha === undefined) {
    return `product ${attributes.transA} ${attributes.transB} [${term.shape}]`;
  }
  const axes = attributes.axes as readonly number[] | undefined;
  if (operator === 'ReduceSum' && axes?.length === 1) {
    const others = inputs[0]!.shape.toSpliced(axes[0]!, 1);
    return `sum ${axes} ${attributes.keepdims} [${others}]`;
  }
  return 'other';
}

function join(terms: readonly Value[], builder: GraphBuilder): Value {
  const nodes = terms.map((term) => builder.producer(term)!);
  const { operator, attributes } = nodes[0]!;
  const operands = (index: number) => nodes.map((node) => node.inputs[index]!);
  if (operator === 'ReduceSum') {
    const axes = attributes.axes as readonly number[];
    const all = builder.concat(operands(0), axes[0]!);
    return builder.reduce('ReduceSum', all, axes, attributes.keepdims === 1);
  }
  const [transposeA, transposeB] = [attributes.transA === 1, attributes.transB === 1];
  const left = builder.concat(operands(0), transposeA ? 0 : 1);
  const right = builder.concat(operands(1), transposeB ? 1 : 0);
  return builder.gemm(left, right, transposeA, transposeB);
}
