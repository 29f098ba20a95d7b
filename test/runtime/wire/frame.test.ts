import test from 'ava';
import fc from 'fast-check';
import { Packr } from 'msgpackr';
import { DamagedDataError } from '../../../errors.ts';
import { decodeFrame, encodeFrame } from '../../../runtime/wire/frame.ts';

const scalar = fc.oneof(
  fc.constant(null),
  fc.constant(undefined),
  fc.boolean(),
  fc.integer(),
  fc.double().map((value) => (Object.is(value, -0) ? 0 : value)),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }),
  fc.string({ unit: 'grapheme' }),
);
const typedArray = fc.oneof(
  fc.uint8Array(),
  fc.int8Array(),
  fc.uint8ClampedArray(),
  fc.int16Array(),
  fc.uint16Array(),
  fc.int32Array(),
  fc.uint32Array(),
  fc.float32Array(),
  fc.float64Array(),
  fc.bigInt64Array(),
  fc.bigUint64Array(),
  fc.uint8Array().map((bytes) => bytes.slice().buffer),
);
const key = fc.string({ unit: 'grapheme' }).filter((name) => name !== '__proto__');
const { value, plain } = fc.letrec((tie) => ({
  value: fc.oneof({ maxDepth: 5 }, scalar, typedArray, tie('list'), tie('fields')),
  plain: fc.oneof(
    { maxDepth: 5 },
    scalar,
    fc.array(tie('plain'), { maxLength: 20 }),
    fc.dictionary(key, tie('plain'), { maxKeys: 20, noNullPrototype: true }),
  ),
  list: fc.array(tie('value'), { maxLength: 6 }),
  fields: fc.dictionary(key, tie('value'), { maxKeys: 6, noNullPrototype: true }),
}));

test('a frame gives back any plain value with its typed arrays', (t) => {
  fc.assert(
    fc.property(value, (sent) => {
      t.deepEqual(decodeFrame(encodeFrame(sent)), sent);
    }),
    { numRuns: 500 },
  );
});

test('a frame that lies at any offset decodes to the same value', (t) => {
  fc.assert(
    fc.property(value, fc.integer({ min: 1, max: 7 }), (sent, offset) => {
      const frame = encodeFrame(sent);
      const moved = new Uint8Array(frame.length + offset);
      moved.set(frame, offset);
      t.deepEqual(decodeFrame(moved.subarray(offset)), sent);
    }),
    { numRuns: 200 },
  );
});

test('a changed, cut or lengthened frame decodes or throws DamagedDataError, nothing else', (t) => {
  const change = fc.record({ at: fc.nat(), byte: fc.integer({ min: 0, max: 255 }) });
  const changes = fc.array(change, { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(value, changes, fc.integer({ min: -9, max: 9 }), (sent, edits, resize) => {
      const frame = encodeFrame(sent);
      const damaged = new Uint8Array(Math.max(0, frame.length + (edits.length > 2 ? resize : 0)));
      damaged.set(frame.subarray(0, damaged.length));
      for (const { at, byte } of edits) damaged[at % damaged.length] = byte;
      try {
        decodeFrame(damaged);
      } catch (error) {
        if (!(error instanceof DamagedDataError)) throw error;
      }
    }),
    { numRuns: 3000 },
  );
  t.pass();
});

test('arbitrary bytes behind a valid prefix decode or throw DamagedDataError', (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), fc.boolean(), (bytes, attached) => {
      const head = Uint8Array.of(0x43, 0x44, 1, attached ? 1 : 0, bytes.length, 0, 0, 0);
      try {
        decodeFrame(Uint8Array.of(...head, ...bytes));
      } catch (error) {
        if (!(error instanceof DamagedDataError)) throw error;
      }
    }),
    { numRuns: 3000 },
  );
  t.pass();
});

test('attachments of an aligned frame are views into it, 8-byte-aligned', (t) => {
  const frame = encodeFrame({ a: Uint8Array.of(1, 2, 3), b: { c: [Float64Array.of(0.5, -0)] } });
  t.is(frame.byteOffset % 8, 0);
  const decoded = decodeFrame(frame) as { a: Uint8Array; b: { c: [Float64Array] } };
  const numbers = decoded.b.c[0];
  t.is(numbers.buffer, frame.buffer);
  t.is((numbers.byteOffset - frame.byteOffset) % 8, 0);
  t.deepEqual([...numbers], [0.5, -0]);
  t.is(decoded.a.buffer, frame.buffer);
});

test('an encoded frame is independent of the arrays that it was made of', (t) => {
  const weights = Float32Array.of(1, 2);
  const frame = encodeFrame({ weights });
  weights.fill(0);
  t.deepEqual(decodeFrame(frame), { weights: Float32Array.of(1, 2) });
});

test('the value that is encoded stays as it was', (t) => {
  const sent = { list: [1, Uint8Array.of(7)], inner: { x: new Float32Array(2) } };
  encodeFrame(sent);
  t.deepEqual(sent, { list: [1, Uint8Array.of(7)], inner: { x: new Float32Array(2) } });
});

test('NaN, infinities and undefined are kept, -0 becomes 0', (t) => {
  const sent = { nan: Number.NaN, low: -Infinity, none: undefined, list: [undefined, null] };
  t.deepEqual(decodeFrame(encodeFrame(sent)), sent);
  t.true(Object.is(decodeFrame(encodeFrame(-0)), 0));
});

test('a part of an array and a Buffer arrive with just their own bytes', (t) => {
  const whole = Float32Array.of(1, 2, 3, 4);
  t.deepEqual(decodeFrame(encodeFrame(whole.subarray(1, 3))), Float32Array.of(2, 3));
  const bytes = decodeFrame(encodeFrame(Buffer.from('text'))) as Uint8Array;
  t.deepEqual([...bytes], [...Buffer.from('text')]);
});

const unsupported: readonly (readonly [string, unknown])[] = [
  ['a Date', new Date(0)],
  ['a Map', new Map()],
  ['a Error', new Error('x')],
  ['a function', () => 1],
  ['a symbol', Symbol('x')],
  ['a bigint of more than 64 bits', 2n ** 64n],
  ['a DataView', new DataView(new ArrayBuffer(8))],
];
for (const [what, sent] of unsupported) {
  test(`${what} is refused with its place in the value`, (t) => {
    const error = t.throws(() => encodeFrame({ list: [0, { field: sent }] }), {
      instanceOf: TypeError,
    });
    t.true(error?.message.startsWith(`The value at list.1.field is ${what},`), error?.message);
  });
}

test('a getter that encodes another frame does no harm to this one', (t) => {
  let inner: Uint8Array | undefined;
  const sent = {
    before: Uint8Array.of(1),
    get between() {
      inner = encodeFrame(['inner', Uint8Array.of(2)]);
      return 'x';
    },
    after: Uint8Array.of(3),
  };
  const read = { before: Uint8Array.of(1), between: 'x', after: Uint8Array.of(3) };
  t.deepEqual(decodeFrame(encodeFrame(sent)), read);
  t.deepEqual(decodeFrame(inner!), ['inner', Uint8Array.of(2)]);
});

test('a field named __proto__ is refused', (t) => {
  t.throws(() => encodeFrame(JSON.parse('{"__proto__": {"x": 1}}')), { instanceOf: TypeError });
});

test('a cycle is refused instead of followed', (t) => {
  const cycle: { self?: unknown } = {};
  cycle.self = cycle;
  t.throws(() => encodeFrame(cycle), { instanceOf: TypeError, message: /cycle/ });
});

test('a nesting of 64 levels travels, one of 65 is refused on both sides', (t) => {
  let deep: unknown = 1;
  for (let level = 0; level < 64; level += 1) deep = [deep];
  t.deepEqual(decodeFrame(encodeFrame(deep)), deep);
  t.throws(() => encodeFrame([deep]), { instanceOf: TypeError });
  const bomb = new Uint8Array(8 + 70).fill(0x91);
  bomb.set([0x43, 0x44, 1, 0, 70, 0, 0, 0]);
  t.throws(() => decodeFrame(bomb), { instanceOf: DamagedDataError, message: /nests over 64/ });
});

test('a typed array travels as deep as any other value', (t) => {
  let deep: unknown = Uint8Array.of(1);
  for (let level = 0; level < 64; level += 1) deep = [deep];
  t.deepEqual(decodeFrame(encodeFrame(deep)), deep);
});

test('a frame decodes behind other bytes, its typed arrays aligned', (t) => {
  const sent = { a: Uint8Array.of(1, 2, 3), b: Float64Array.of(0.5) };
  const bytes = encodeFrame(sent, 24);
  bytes.fill(0xff, 0, 24);
  const decoded = decodeFrame(bytes, 24) as { readonly b: Float64Array };
  t.deepEqual(decoded, sent);
  t.is(decoded.b.buffer, bytes.buffer);
});

test('the header is MessagePack as others read it, and theirs is read here', (t) => {
  const msgpackr = new Packr({ useRecords: false, structuredClone: false, int64AsType: 'bigint' });
  fc.assert(
    fc.property(plain, (sent) => {
      const header = encodeFrame(sent).subarray(8);
      t.deepEqual(msgpackr.unpack(header), sent);
      const theirs = msgpackr.pack(sent);
      const prefix = Buffer.from([0x43, 0x44, 1, 0, 0, 0, 0, 0]);
      prefix.writeUInt32LE(theirs.length, 4);
      t.deepEqual(decodeFrame(Buffer.concat([prefix, theirs])), sent);
    }),
    { numRuns: 500 },
  );
});

test('a list of over a million elements is refused on both sides', (t) => {
  t.throws(() => encodeFrame(new Array(1 << 20).fill(0)), { instanceOf: RangeError });
  const bomb = Uint8Array.of(0x43, 0x44, 1, 0, 5, 0, 0, 0, 0xdd, 0xff, 0xff, 0xff, 0xff);
  t.throws(() => decodeFrame(bomb), { instanceOf: DamagedDataError, message: /items/ });
});

test('text of over 64 MB is refused, and the next value is written as ever', (t) => {
  const long = 'x'.repeat((64 << 20) + 1);
  t.throws(() => encodeFrame([Uint8Array.of(1), long]), { instanceOf: RangeError });
  t.deepEqual(decodeFrame(encodeFrame(['x'])), ['x']);
});

test('an attachment can only take the place of a null in the value', (t) => {
  // ['toString'] is inherited, so a table that points there must not reach the prototype.
  const frame = Buffer.from(encodeFrame({ toStrinq: Uint8Array.of(1) }));
  t.deepEqual(decodeFrame(frame), { toStrinq: Uint8Array.of(1) });
  const first = frame.indexOf('toStrinq');
  frame.write('toString', frame.indexOf('toStrinq', first + 1));
  t.throws(() => decodeFrame(frame), { instanceOf: DamagedDataError, message: /belongs nowhere/ });
});
