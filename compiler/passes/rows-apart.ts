import { findProducers, type Graph, type GraphNode, type Value } from '../graph.ts';
import { GraphBuilder } from '../graph-builder.ts';
import { sameShape } from '../tensor-spec.ts';
import { removeDeadCode } from './dead-code.ts';

/** Fewer rows make a product wait for its weights. */
const ROWS_MIN = 32;

/** What treats elements or rows each for itself, whatever the axis is that rows are normalised over. */
const ROWWISE: ReadonlySet<string> = new Set([
  'Add',
  'Cast',
  'Div',
  'DynamicQuantizeMatMul',
  'Exp',
  'LayerNormalization',
  'LogSoftmax',
  'Mul',
  'Neg',
  'Sigmoid',
  'Softmax',
  'Sub',
  'Tanh',
]);

/**
 * Where rows are put together, step by step of a recurrence, or are about to be taken apart, computes what is done to
 * rows with each part: no more operations' results than a processor keeps at hand. A product is then
 * quantised part by part, each with a scale of its own. For products whose weights the engine has laid out beforehand;
 * with others it would do so for each part anew.
 */
export function computeRowsApart(graph: Graph): Graph {
  const pass = new RowsApart(graph);
  for (const node of graph.nodes) pass.add(node);
  const outputs = new Map([...graph.outputs].map(([name, value]) => [name, pass.whole(value)]));
  return removeDeadCode({ inputs: graph.inputs, nodes: pass.nodes, outputs });
}

class RowsApart {
  readonly #builder = new GraphBuilder();
  /** The parts of values that are there in parts. */
  readonly #parts = new Map<Value, readonly Value[]>();
  readonly #wholes = new Map<Value, Value>();
  readonly #lookups: ReadonlyMap<GraphNode, readonly number[]>;

  constructor(graph: Graph) {
    this.#lookups = lookupsInParts(graph);
  }

  get nodes(): readonly GraphNode[] {
    return this.#builder.nodes;
  }

  add(node: GraphNode): void {
    const { inputs, outputs, attributes } = node;
    const [first] = inputs;
    const parts = first && this.#parts.get(first);
    if (node.operator === 'Split' && attributes.axis === 0 && parts !== undefined) {
      if (outputs.every((output, index) => sameShape(output.shape, parts[index]?.shape ?? []))) {
        for (const [index, output] of outputs.entries()) this.#wholes.set(output, parts[index]!);
        return;
      }
    }
    if (isConcatOfRows(node)) {
      this.#parts.set(
        outputs[0]!,
        inputs.map((input) => this.whole(input)),
      );
      return;
    }
    const sizes = this.#lookups.get(node);
    if (sizes !== undefined) this.#lookUpInParts(node, sizes);
    else if (!this.#addInParts(node)) {
      this.#builder.append({ ...node, inputs: inputs.map((input) => this.whole(input)) });
    }
  }

  /** The value in one, put together if need be. */
  whole(value: Value): Value {
    const known = this.#wholes.get(value);
    if (known !== undefined) return known;
    const parts = this.#parts.get(value);
    if (parts === undefined) return value;
    const whole = this.#builder.concat(parts, 0);
    this.#wholes.set(value, whole);
    return whole;
  }

  #lookUpInParts({ inputs, outputs, attributes }: GraphNode, sizes: readonly number[]): void {
    const [table, indices] = inputs.map((input) => this.whole(input)) as [Value, Value];
    const [found] = outputs as [Value];
    const places = this.#builder.addMany(
      'Split',
      [indices],
      sizes.map((size) => ({ shape: [size], dtype: indices.dtype })),
      { axis: 0, split: sizes },
    );
    this.#parts.set(
      found,
      places.map((part, index) => {
        const spec = { shape: found.shape.with(0, sizes[index]!), dtype: found.dtype };
        return this.#builder.add('Gather', [table, part], spec, attributes);
      }),
    );
  }

  /** @returns whether it could be done. */
  #addInParts(node: GraphNode): boolean {
    const { operator, inputs, outputs, attributes } = node;
    const lists = inputs.map((input) => this.#parts.get(input));
    const [sizes] = lists.flatMap((parts) => (parts ? [parts.map(({ shape }) => shape[0]!)] : []));
    if (sizes === undefined || !isRowwise(node)) return false;
    const fits = lists.every((parts, index) => {
      if (parts === undefined) return isSameForAllRows(node, index);
      const { shape } = inputs[index]!;
      if (shape.length !== outputs[0]!.shape.length || isWeights(node, index)) return false;
      return parts.length === sizes.length && parts.every((part, i) => part.shape[0] === sizes[i]);
    });
    if (!fits) return false;
    const results = sizes.map((size, part) =>
      this.#builder.addMany(
        operator,
        lists.map((parts, index) => parts?.[part] ?? this.whole(inputs[index]!)),
        outputs.map(({ shape, dtype }) => ({ shape: shape.with(0, size), dtype })),
        attributes,
      ),
    );
    for (const [index, output] of outputs.entries()) {
      this.#parts.set(
        output,
        results.map((values) => values[index]!),
      );
    }
    return true;
  }
}

/** Lookups of rows that are taken apart after nothing but work on rows, and the sizes of the parts. */
function lookupsInParts(graph: Graph): ReadonlyMap<GraphNode, readonly number[]> {
  const producers = findProducers(graph.nodes);
  const found = new Map<GraphNode, readonly number[]>();
  for (const { operator, inputs, attributes } of graph.nodes) {
    const sizes = attributes.split as readonly number[];
    if (operator !== 'Split' || attributes.axis !== 0 || Math.min(...sizes) < ROWS_MIN) continue;
    let node = producers.get(inputs[0]!);
    while (node !== undefined && isRowwise(node)) node = producers.get(node.inputs[0]!);
    const indices = node?.inputs[1];
    if (node?.operator !== 'Gather' || node.attributes.axis !== 0) continue;
    if (indices?.shape.length === 1) found.set(node, sizes);
  }
  return found;
}

function isConcatOfRows({ operator, inputs, attributes }: GraphNode): boolean {
  if (operator !== 'Concat' || attributes.axis !== 0) return false;
  return inputs.every(({ shape }) => shape.length > 1 && shape[0]! >= ROWS_MIN);
}

function isRowwise({ operator, inputs, outputs, attributes }: GraphNode): boolean {
  if (!ROWWISE.has(operator)) return false;
  const { axis } = attributes;
  // Softmax counts from the end where nothing is said.
  if (axis !== undefined && axis !== -1 && (axis as number) < 1) return false;
  const { shape } = outputs[0]!;
  return shape.length > 1 && inputs[0]!.shape.length === shape.length;
}

/** Whether an operand is the same for each row: it is broadcast, or a product's weights. */
function isSameForAllRows(node: GraphNode, index: number): boolean {
  const { shape } = node.inputs[index]!;
  return isWeights(node, index) || shape.length < node.outputs[0]!.shape.length || shape[0] === 1;
}

function isWeights({ operator }: GraphNode, index: number): boolean {
  return operator === 'DynamicQuantizeMatMul' && index > 0;
}
