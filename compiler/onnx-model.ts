import {
  type Attributes,
  absentValue,
  type ElementType,
  type Graph,
  type GraphNode,
  type Value,
} from './graph.ts';
import { DATA_TYPES, writeAttribute, writeTensor, writeValueInfo } from './onnx-messages.ts';
import { ProtobufWriter } from './protobuf.ts';
import { sizeOf, type TensorData } from './tensor-spec.ts';

/** ONNX IR version 9 and operator set 18: understood by every onnxruntime since 1.15. */
const IR_VERSION = 9;
const OPSET_VERSION = 18;
/** onnxruntime's own operators, by domain, under the names that they have in a graph. */
const DOMAINS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'com.microsoft': {
    DynamicQuantizeMatMul: 'DynamicQuantizeMatMul',
    FusedMatMul: 'FusedMatMul',
  },
  'com.microsoft.nchwc': {
    BlockedConv: 'Conv',
    ToBlocks: 'ReorderInput',
    FromBlocks: 'ReorderOutput',
    BlockedGlobalAveragePool: 'GlobalAveragePool',
  },
};

/** Attributes that ONNX takes as int64 tensors, in order, after an operator's first input. */
const TENSOR_ATTRIBUTES: Readonly<Record<string, readonly string[]>> = {
  CumSum: ['axis'],
  Expand: ['shape'],
  Pad: ['pads'],
  ReduceMax: ['axes'],
  ReduceMean: ['axes'],
  ReduceMin: ['axes'],
  ReduceProd: ['axes'],
  ReduceSum: ['axes'],
  ReduceSumSquare: ['axes'],
  Reshape: ['shape'],
  Slice: ['starts', 'ends', 'axes', 'steps'],
  Split: ['split'],
  Tile: ['repeats'],
  TopK: ['k'],
};

/** Elements up to which a repeated number is written out instead of being filled in at each run. */
const WRITTEN_SPLAT_ELEMENTS_MAX = 16_384;

export interface ModelNames {
  /** What the model calls an output of the graph; default: `outputName`. */
  readonly outputName?: (name: string) => string;
  /** What it calls constants, where that matters to its readers. */
  readonly constants?: ReadonlyMap<Value, string>;
  /** Inputs of the graph that are constants of the model, to be given by `withConstants`. */
  readonly pending?: ReadonlySet<string>;
}

/** A constant under the name of one of the graph's inputs. */
export interface ModelConstant {
  readonly name: string;
  readonly shape: readonly number[];
  readonly data: Float32Array | Int8Array;
}

/**
 * Gives a model the constants that were left pending. A message of Protocol Buffers may come in parts, so
 * the rest of it needn't be written again.
 */
export function withConstants(
  model: Uint8Array,
  constants: readonly ModelConstant[],
): Uint8Array<ArrayBuffer> {
  const byteLength = constants.reduce((sum, { data }) => sum + data.byteLength, 0);
  const graph = new ProtobufWriter(byteLength + 256 * constants.length);
  for (const { name, shape, data } of constants) {
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    writeTensor(
      graph,
      name,
      { shape, dtype: data instanceof Int8Array ? 'int8' : 'float32' },
      bytes,
    );
  }
  const whole = new ProtobufWriter(model.length + graph.bytes.length + 16);
  whole.raw(model);
  whole.bytesField(7, graph.bytes);
  return whole.bytes;
}

/**
 * Writes a graph as an ONNX model. Inputs that nothing reads are left out.
 * Field numbers are those of onnx.proto.
 */
export function writeOnnxModel(graph: Graph, names: ModelNames = {}): Uint8Array<ArrayBuffer> {
  const graphProto = new GraphWriter(graph, names).write();
  const model = new ProtobufWriter(graphProto.length + 64);
  model.integer(1, IR_VERSION);
  model.string(2, 'codistill');
  model.bytesField(7, graphProto);
  model.message(8, (opset) => opset.integer(2, OPSET_VERSION));
  for (const [domain, operators] of Object.entries(DOMAINS)) {
    if (!graph.nodes.some(({ operator }) => operator in operators)) continue;
    model.message(8, (opset) => {
      opset.string(1, domain);
      opset.integer(2, 1);
    });
  }
  return model.bytes;
}

/** The graph's inputs that are written: those that a node or an output reads. */
export function usedInputs(graph: Graph): ReadonlyMap<string, Value> {
  const read = new Set([...graph.nodes.flatMap((node) => node.inputs), ...graph.outputs.values()]);
  return new Map([...graph.inputs].filter(([, value]) => read.has(value)));
}

class GraphWriter {
  readonly #graph: Graph;
  readonly #proto = new ProtobufWriter(1 << 16);
  readonly #names = new Map<Value, string>();
  readonly #constants = new Map<string, string>();
  readonly #outputName: (name: string) => string;
  readonly #constantNames: ReadonlyMap<Value, string>;
  readonly #pending: ReadonlySet<string>;
  /** Names that are given; those that are made here must be others. */
  readonly #reserved: ReadonlySet<string>;
  #count = 0;

  constructor(graph: Graph, names: ModelNames) {
    this.#graph = graph;
    this.#outputName = names.outputName ?? outputName;
    this.#constantNames = names.constants ?? new Map();
    this.#pending = names.pending ?? new Set();
    this.#reserved = new Set([
      ...graph.inputs.keys(),
      ...[...graph.outputs.keys()].map(this.#outputName),
      ...this.#constantNames.values(),
    ]);
  }

  write(): Uint8Array<ArrayBuffer> {
    const { nodes, outputs } = this.#graph;
    this.#proto.string(2, 'step');
    for (const [name, value] of usedInputs(this.#graph)) {
      this.#names.set(value, name);
      if (this.#pending.has(name)) continue;
      this.#proto.message(11, (proto) => writeValueInfo(proto, name, value));
    }
    const computed = new Set(nodes.flatMap((node) => node.outputs));
    for (const [name, value] of outputs) {
      if (computed.has(value) && !this.#names.has(value))
        this.#names.set(value, this.#outputName(name));
    }
    for (const node of nodes) this.#writeNode(node);
    for (const [name, value] of outputs) {
      this.#proto.message(12, (proto) => writeValueInfo(proto, this.#outputName(name), value));
      const source = this.#nameOf(value);
      // An input, a constant, or a value that is two outputs at once.
      if (source !== this.#outputName(name))
        this.#writeOperation('Identity', [source], [this.#outputName(name)]);
    }
    return this.#proto.bytes;
  }

  #writeNode(node: GraphNode): void {
    const inputs = node.inputs.map((value) => this.#nameOf(value));
    const asTensors = TENSOR_ATTRIBUTES[node.operator] ?? [];
    const tensors = asTensors.map((key) => {
      const attribute = node.attributes[key];
      if (attribute !== undefined) return this.#indexTensor(attribute);
      const all = asTensors.join(', ');
      throw new Error(
        `The operator ${node.operator} needs ${all} as attributes, but has no ${key}.`,
      );
    });
    const attributes = Object.fromEntries(
      Object.entries(node.attributes).filter(([key]) => !asTensors.includes(key)),
    );
    const outputs = node.outputs.map((value) => this.#nameOf(value));
    this.#writeOperation(node.operator, inputs.toSpliced(1, 0, ...tensors), outputs, {
      ...attributes,
      ...(node.operator === 'Cast' ? { to: DATA_TYPES[node.outputs[0]!.dtype] } : {}),
    });
  }

  #writeOperation(
    operator: string,
    inputs: readonly string[],
    outputs: readonly string[],
    attributes: Attributes = {},
  ): void {
    this.#proto.message(1, (proto) => {
      for (const input of inputs) proto.string(1, input);
      for (const output of outputs) proto.string(2, output);
      proto.string(3, `${operator}_${this.#count++}`);
      const [domain, operators] = Object.entries(DOMAINS).find(([, own]) => operator in own) ?? [];
      proto.string(4, operators?.[operator] ?? operator);
      if (domain !== undefined) proto.string(7, domain);
      for (const [name, value] of Object.entries(attributes)) writeAttribute(proto, name, value);
    });
  }

  #nameOf(value: Value): string {
    if (value === absentValue) return '';
    const known = this.#names.get(value);
    if (known !== undefined) return known;
    const name = value.constant === undefined ? this.#newName() : this.#writeConstant(value);
    this.#names.set(value, name);
    return name;
  }

  #newName(): string {
    let name: string;
    do name = `v${this.#count++}`;
    while (this.#reserved.has(name));
    return name;
  }

  #writeConstant(value: Value): string {
    const { dtype, shape } = value;
    const constant = value.constant!;
    if ('data' in constant) {
      const name = this.#constantNames.get(value) ?? this.#newName();
      return this.#writeTensor(name, { dtype, shape }, bytesOf(constant.data));
    }
    const size = sizeOf(shape);
    const { splat } = constant;
    if (size <= WRITTEN_SPLAT_ELEMENTS_MAX) {
      const data = fill(dtype, size, splat);
      const key = `${dtype}[${shape}]${Object.is(splat, -0) ? '-0' : splat}`;
      return this.#shared(key, () =>
        this.#writeTensor(this.#newName(), { dtype, shape }, bytesOf(data)),
      );
    }
    const element = this.#nameOf({ shape: [], dtype, constant });
    return this.#shared(`Expand ${element} [${shape}]`, () => {
      const name = this.#newName();
      this.#writeOperation('Expand', [element, this.#indexTensor(shape)], [name]);
      return name;
    });
  }

  /** A constant int64 tensor; one for all that have the same elements. */
  #indexTensor(value: number | string | readonly number[]): string {
    const values = [value].flat().map((each) => BigInt(each as number));
    const shape = Array.isArray(value) ? [values.length] : [];
    return this.#shared(`int64[${shape}]${values}`, () =>
      this.#writeTensor(
        this.#newName(),
        { dtype: 'int64', shape },
        bytesOf(BigInt64Array.from(values)),
      ),
    );
  }

  #shared(key: string, write: () => string): string {
    const known = this.#constants.get(key);
    if (known !== undefined) return known;
    const name = write();
    this.#constants.set(key, name);
    return name;
  }

  #writeTensor(name: string, value: Value, bytes: Uint8Array): string {
    writeTensor(this.#proto, name, value, bytes);
    return name;
  }
}

/** State entries are inputs and outputs under one name; ONNX wants two. */
export function outputName(name: string): string {
  return `new ${name}`;
}

function fill(dtype: ElementType, size: number, value: number): TensorData | BigInt64Array {
  if (dtype === 'float32') return new Float32Array(size).fill(value);
  if (dtype === 'int32') return new Int32Array(size).fill(value);
  if (dtype === 'int64') return new BigInt64Array(size).fill(BigInt(value));
  return new Uint8Array(size).fill(value);
}

function bytesOf(data: TensorData | BigInt64Array): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}
