import type { ElementType, Value } from './graph.ts';
import type { ProtobufWriter } from './protobuf.ts';

// Messages of onnx.proto, whose field numbers these are.

/** TensorProto.DataType */
export const DATA_TYPES: Readonly<Record<ElementType, number>> = {
  float32: 1,
  int8: 3,
  int32: 6,
  int64: 7,
  bool: 9,
};

const FLOAT_ATTRIBUTES: ReadonlySet<string> = new Set(['alpha', 'beta', 'epsilon']);

/** A constant of a GraphProto. */
export function writeTensor(
  graph: ProtobufWriter,
  name: string,
  { dtype, shape }: Value,
  bytes: Uint8Array,
): void {
  graph.message(
    5,
    (proto) => {
      proto.packed(1, shape);
      proto.integer(2, DATA_TYPES[dtype]);
      proto.string(8, name);
      proto.bytesField(9, bytes);
    },
    bytes.length + 128,
  );
}

/** A ValueInfoProto: an input or output of a graph. */
export function writeValueInfo(proto: ProtobufWriter, name: string, value: Value): void {
  proto.string(1, name);
  proto.message(2, (type) =>
    type.message(1, (tensor) => {
      tensor.integer(1, DATA_TYPES[value.dtype]);
      tensor.message(2, (shape) => {
        for (const dimension of value.shape) shape.message(1, (dim) => dim.integer(1, dimension));
      });
    }),
  );
}

/** AttributeProto; its `type` is 1 for a float, 2 an integer, 3 a string, 7 integers. */
export function writeAttribute(
  node: ProtobufWriter,
  name: string,
  value: number | string | readonly number[],
): void {
  node.message(5, (proto) => {
    proto.string(1, name);
    if (typeof value === 'string') {
      proto.string(4, value);
      proto.integer(20, 3);
    } else if (typeof value !== 'number') {
      for (const each of value) proto.integer(8, each);
      proto.integer(20, 7);
    } else if (FLOAT_ATTRIBUTES.has(name)) {
      proto.float(2, value);
      proto.integer(20, 1);
    } else {
      proto.integer(3, value);
      proto.integer(20, 2);
    }
  });
}
