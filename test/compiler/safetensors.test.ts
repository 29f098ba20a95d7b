import test from 'ava';
import { decodeSafetensors, encodeSafetensors, type NamedTensors } from '../../compiler/index.ts';
import { DamagedDataError } from '../../errors.ts';

const tensors: NamedTensors = {
  'layer/weights': {
    shape: [2, 3],
    dtype: 'float32',
    data: Float32Array.of(1, -0, NaN, 4, 5, 1e-40),
  },
  count: { shape: [], dtype: 'int32', data: Int32Array.of(-7) },
  mask: { shape: [3], dtype: 'bool', data: Uint8Array.of(1, 0, 1) },
  nothing: { shape: [0, 4], dtype: 'float32', data: new Float32Array(0) },
  __proto__x: { shape: [1], dtype: 'float32', data: Float32Array.of(2) },
};

/** A file as its bytes are laid down by the format, with a header of one's own. */
function fileOf(header: unknown, data: readonly number[]): Uint8Array {
  const json = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  return Buffer.concat([length, json, Uint8Array.from(data)]);
}

test('tensors and metadata come back as they were', (t) => {
  const bytes = encodeSafetensors({ tensors, metadata: { step: '5' } });
  t.deepEqual(decodeSafetensors(bytes), { tensors, metadata: { step: '5' } });
  // Also from the middle of a buffer, where nothing is aligned.
  const padded = new Uint8Array(bytes.length + 3);
  padded.set(bytes, 3);
  t.deepEqual(decodeSafetensors(padded.subarray(3)).tensors, tensors);
});

test('a file is what the format says, byte by byte', (t) => {
  const bytes = encodeSafetensors({
    tensors: { a: { shape: [1], dtype: 'int32', data: Int32Array.of(258) } },
    metadata: {},
  });
  const header = '{"a":{"dtype":"I32","shape":[1],"data_offsets":[0,4]}}'.padEnd(56, ' ');
  t.deepEqual(Buffer.from(bytes), Buffer.from(fileOf(header, [2, 1, 0, 0])));
});

test('half precision is read as float32', (t) => {
  const read = (dtype: string, ...values: readonly number[]) => {
    const data = values.flatMap((bits) => [bits & 255, bits >> 8]);
    const header = { h: { dtype, shape: [values.length], data_offsets: [0, data.length] } };
    return [...decodeSafetensors(fileOf(header, data)).tensors.h!.data];
  };
  t.deepEqual(read('F16', 0x3c00, 0xc000, 0x7bff, 0x0001, 0x8000, 0x7c00), [
    1,
    -2,
    65504,
    2 ** -24,
    -0,
    Infinity,
  ]);
  t.true(Number.isNaN(read('F16', 0x7e00)[0]));
  t.deepEqual(read('BF16', 0x3f80, 0xc040, 0x0001), [1, -3, 2 ** -133]);
});

test('every file that is cut off is refused', (t) => {
  const bytes = encodeSafetensors({ tensors, metadata: {} });
  for (let length = 0; length < bytes.length; length++) {
    t.throws(() => decodeSafetensors(bytes.subarray(0, length)), { instanceOf: DamagedDataError });
  }
});

const a = { dtype: 'F32', shape: [1], data_offsets: [0, 4] };
for (const [what, header] of Object.entries({
  'no JSON': '{"a"',
  'a list': [],
  'metadata that are no texts': { __metadata__: { a: 1 } },
  'no tensor': { a: null },
  'a tensor without a shape': { a: { ...a, shape: undefined } },
  'a negative dimension': { a: { ...a, shape: [-1] } },
  'a broken dimension': { a: { ...a, shape: [0.5] } },
  'a shape beyond all bounds': { a: { ...a, shape: [2 ** 50, 2 ** 50, 2 ** 50] } },
  'a type that is unknown': { a: { ...a, dtype: 'F8_E4M3' } },
  'the type of an object': { a: { ...a, dtype: 'constructor' } },
  'a place behind the end': { a: { ...a, data_offsets: [4, 8] } },
  'a place that ends before it begins': { a: { ...a, data_offsets: [4, 0] } },
  'a gap before a tensor': { a: { ...a, dtype: 'BOOL', data_offsets: [3, 4] } },
  'elements of no tensor': { a: { ...a, dtype: 'BOOL', data_offsets: [0, 1] } },
  'no tensors at all but elements': {},
  'tensors that overlap': { a, b: { ...a, dtype: 'F16', data_offsets: [2, 4] } },
  'tensors in one place': { a, b: a },
  'fewer bytes than the shape takes': { a: { ...a, data_offsets: [0, 3] } },
})) {
  test(`a header with ${what} is refused`, (t) => {
    t.throws(() => decodeSafetensors(fileOf(header, [0, 0, 0, 0])), {
      instanceOf: DamagedDataError,
    });
  });
}

test('a header that claims more than there is, is refused before anything is allocated', (t) => {
  const bytes = Buffer.alloc(16);
  bytes.writeBigUInt64LE(2n ** 63n);
  t.throws(() => decodeSafetensors(bytes), { instanceOf: DamagedDataError });
});

test('data that don’t fit their shape are not written', (t) => {
  const wrong = { shape: [2], dtype: 'float32', data: Float32Array.of(1) } as const;
  t.throws(() => encodeSafetensors({ tensors: { wrong }, metadata: {} }), {
    instanceOf: RangeError,
    message: /'wrong'/,
  });
});
