import {
  type Attributes,
  type ElementType,
  findProducers,
  type GraphNode,
  type Value,
} from './graph.ts';
import { sameShape, sizeOf } from './tensor-spec.ts';

/** Elements up to which a constant array is looked through for being one repeated number. */
const SPLAT_SCAN_ELEMENTS_MAX = 1 << 28;

interface ValueSpec {
  readonly shape: readonly number[];
  readonly dtype: ElementType;
}

/** Appends nodes and works out the shapes of the operators that kernels and passes use most. */
export class GraphBuilder {
  readonly nodes: GraphNode[] = [];
  readonly #producers = new Map<Value, GraphNode>();

  /** The node of this builder that computes `value`, if there is one. */
  producer(value: Value | undefined): GraphNode | undefined {
    return value === undefined ? undefined : this.#producers.get(value);
  }

  /** Takes a node over as it is. */
  append(node: GraphNode): readonly Value[] {
    this.nodes.push(node);
    for (const [output, producer] of findProducers([node])) this.#producers.set(output, producer);
    return node.outputs;
  }

  add(
    operator: string,
    inputs: readonly Value[],
    output: ValueSpec,
    attributes: Attributes = {},
  ): Value {
    return this.addMany(operator, inputs, [output], attributes)[0]!;
  }

  addMany(
    operator: string,
    inputs: readonly Value[],
    outputs: readonly ValueSpec[],
    attributes: Attributes = {},
  ): readonly Value[] {
    const values = outputs.map(({ shape, dtype }): Value => ({ shape: [...shape], dtype }));
    return this.append({ operator, inputs, outputs: values, attributes });
  }

  /** A value that is `number` everywhere, whatever its size. */
  splat(number: number, dtype: ElementType, shape: readonly number[] = []): Value {
    return { shape: [...shape], dtype, constant: { splat: number } };
  }

  constant(
    data: Float32Array | Int32Array | Uint8Array,
    dtype: ElementType,
    shape: readonly number[],
  ): Value {
    const first = data[0];
    // tfjs writes zeros and ones out in full; keeping one number saves a copy as large as the logits.
    if (first !== undefined && data.length <= SPLAT_SCAN_ELEMENTS_MAX) {
      // `Object.is` keeps -0 apart from 0 and lets NaN be itself.
      if (data.every((element) => Object.is(element, first))) {
        return this.splat(first, dtype, shape);
      }
    }
    return { shape: [...shape], dtype, constant: { data } };
  }

  unary(operator: string, x: Value, attributes: Attributes = {}): Value {
    return this.add(operator, [x], x, attributes);
  }

  /** An elementwise operator on two operands that broadcast; `dtype` where it isn't the operands'. */
  binary(
    operator: string,
    a: Value,
    b: Value,
    dtype: ElementType = a.dtype,
    attributes: Attributes = {},
  ): Value {
    const shape = broadcastShapes(a.shape, b.shape);
    return this.add(operator, [a, b], { shape, dtype }, attributes);
  }

  cast(x: Value, dtype: ElementType): Value {
    return x.dtype === dtype ? x : this.add('Cast', [x], { shape: x.shape, dtype });
  }

  reshape(x: Value, shape: readonly number[]): Value {
    if (sameShape(x.shape, shape)) return x;
    // To ONNX a 0 means "as it was", unless told otherwise.
    const attributes = shape.includes(0) ? { shape, allowzero: 1 } : { shape };
    return this.add('Reshape', [x], { shape, dtype: x.dtype }, attributes);
  }

  transpose(x: Value, perm: readonly number[]): Value {
    const shape = perm.map((axis) => x.shape[axis]!);
    return this.add('Transpose', [x], { shape, dtype: x.dtype }, { perm });
  }

  expand(x: Value, shape: readonly number[]): Value {
    return sameShape(x.shape, shape)
      ? x
      : this.add('Expand', [x], { shape, dtype: x.dtype }, { shape });
  }

  concat(parts: readonly Value[], axis: number): Value {
    const [first] = parts as [Value];
    if (parts.length === 1) return first;
    const along = parts.reduce((sum, part) => sum + part.shape[axis]!, 0);
    const shape = first.shape.with(axis, along);
    return this.add('Concat', parts, { shape, dtype: first.dtype }, { axis });
  }

  /** Adds elements of `filler` before and after each axis. */
  pad(x: Value, before: readonly number[], after: readonly number[], filler: number): Value {
    if ([...before, ...after].every((each) => each === 0)) return x;
    const shape = x.shape.map((size, axis) => before[axis]! + size + after[axis]!);
    const attributes = { pads: [...before, ...after], mode: 'constant' };
    const inputs = [x, this.splat(filler, x.dtype)];
    return this.add('Pad', inputs, { shape, dtype: x.dtype }, attributes);
  }

  /** Turns `axes` around: their last element comes first. */
  reverse(x: Value, axes: readonly number[]): Value {
    const starts = axes.map((axis) => x.shape[axis]! - 1);
    const ends = axes.map(() => Number.MIN_SAFE_INTEGER);
    const steps = axes.map(() => -1);
    return axes.length === 0 ? x : this.add('Slice', [x], x, { starts, ends, axes, steps });
  }

  /** Reduces `axes` (not negative); `keepDims` leaves them with size 1. */
  reduce(operator: string, x: Value, axes: readonly number[], keepDims: boolean): Value {
    const shape = keepDims
      ? x.shape.map((dimension, axis) => (axes.includes(axis) ? 1 : dimension))
      : x.shape.filter((_, axis) => !axes.includes(axis));
    // An empty list of axes means "all" to ONNX and "none" to tfjs.
    if (axes.length === 0) return x;
    const attributes = { axes: [...axes], keepdims: keepDims ? 1 : 0 };
    return this.add(operator, [x], { shape, dtype: x.dtype }, attributes);
  }

  /** `[rows, inner] · [inner, columns]`, either operand stored transposed. */
  gemm(a: Value, b: Value, transposeA = false, transposeB = false): Value {
    const rows = a.shape[transposeA ? 1 : 0]!;
    const columns = b.shape[transposeB ? 0 : 1]!;
    const attributes = { transA: transposeA ? 1 : 0, transB: transposeB ? 1 : 0 };
    return this.add('Gemm', [a, b], { shape: [rows, columns], dtype: a.dtype }, attributes);
  }
}

/** @throws RangeError where two shapes don't broadcast. */
export function broadcastShapes(a: readonly number[], b: readonly number[]): readonly number[] {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, axis) => {
    const ofA = a[axis - rank + a.length] ?? 1;
    const ofB = b[axis - rank + b.length] ?? 1;
    if (ofA !== ofB && ofA !== 1 && ofB !== 1) {
      throw new RangeError(`shapes [${a}] and [${b}] don't broadcast.`);
    }
    return ofA === 1 ? ofB : ofA;
  });
}

/** Whether a value holds a single element. */
export function isScalar(value: Value): boolean {
  return sizeOf(value.shape) === 1;
}
