import test from 'ava';
import fc from 'fast-check';
import { DamagedDataError } from '../../../errors.ts';
import { decodeFrame, encodeFrame } from '../../../runtime/wire/frame.ts';

/** Bytes that are nearly MessagePack: lengths and counts may lie, extensions and odd keys occur. */
const { piece } = fc.letrec<{ piece: number[]; scalar: number[]; list: number[]; map: number[] }>(
  (tie) => ({
    scalar: fc.oneof(
      fc.integer({ min: 0, max: 255 }).map((token) => [token]),
      fc.tuple(fc.constantFrom(0xc0, 0xc2, 0xc3), fc.constant(0)).map(([token]) => [token]),
      sized(fc.constantFrom(0xcc, 0xd0), 1),
      sized(fc.constantFrom(0xcd, 0xd1), 2),
      sized(fc.constantFrom(0xca, 0xce, 0xd2), 4),
      sized(fc.constantFrom(0xcb, 0xcf, 0xd3), 8),
      text(),
      // bin, ext and fixext of all sizes, with any type: dates, classes and references among them.
      sized(fc.constantFrom(0xc4, 0xc7, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8), 9),
    ),
    list: container(0x90, 0xdc, 0xdd, 1, tie('piece')),
    map: container(0x80, 0xde, 0xdf, 2, tie('piece')),
    piece: fc.oneof({ maxDepth: 6 }, tie('scalar'), tie('list'), tie('map')),
  }),
);

function sized(token: fc.Arbitrary<number>, bytes: number): fc.Arbitrary<number[]> {
  const content = fc.array(fc.integer({ min: 0, max: 255 }), {
    minLength: bytes,
    maxLength: bytes,
  });
  return fc.tuple(token, content).map(([first, rest]) => [first, ...rest]);
}

function text(): fc.Arbitrary<number[]> {
  const word = fc.constantFrom('a', 'toString', '__proto__', 'constructor', 'then', 'é');
  return fc.tuple(word, fc.constantFrom(0, 0, 0, 0, 1, -1)).map(([content, lie]) => {
    const bytes = [...Buffer.from(content)];
    return [0xa0 | (bytes.length + lie), ...bytes];
  });
}

function container(
  fix: number,
  token16: number,
  token32: number,
  perEntry: number,
  item: fc.Arbitrary<number[]>,
): fc.Arbitrary<number[]> {
  const items = fc.array(item, { maxLength: 5 });
  const lie = fc.constantFrom(0, 0, 0, 0, 1, -1, 0xfffffff);
  return fc.tuple(items, lie, fc.constantFrom(1, 2, 4)).map(([list, wrong, width]) => {
    const count = Math.max(0, Math.floor(list.length / perEntry) + wrong);
    const head = Buffer.alloc(5);
    head.writeUInt32BE(count % 2 ** 32, 1);
    const prefix =
      width === 1
        ? [fix | (count & 0xf)]
        : width === 2
          ? [token16, ...head.subarray(3)]
          : [token32, ...head.subarray(1)];
    return [...prefix, ...list.flat()];
  });
}

function frame(header: readonly number[], attachments: Uint8Array | undefined): Uint8Array {
  const end = 8 + header.length;
  const start = Math.ceil(end / 8) * 8;
  const bytes = Buffer.alloc(attachments ? start + attachments.length : end);
  bytes.set([0x43, 0x44, 1, attachments ? 1 : 0]);
  bytes.writeUInt32LE(header.length, 4);
  bytes.set(header, 8);
  if (attachments) bytes.set(attachments, start);
  return bytes;
}

/** What a decoded value may be made of; throws for anything with behaviour of its own. */
function assertPlain(value: unknown): void {
  if (typeof value !== 'object') {
    if (typeof value === 'function' || typeof value === 'symbol') throw new Error(String(value));
    return;
  }
  if (value === null || ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return;
  const prototype: unknown = Object.getPrototypeOf(value);
  const plain = [Object.prototype, Array.prototype, null].includes(prototype as never);
  if (!plain) throw new Error(`a decoded value has a foreign prototype: ${value}`);
  if (Object.hasOwn(value, '__proto__')) throw new Error('a decoded value has a field __proto__');
  for (const inner of Object.values(value)) assertPlain(inner);
}

/** Decodes to plain data, or is refused as damaged; nothing else. @returns whether it decoded */
function decodesSafely(bytes: Uint8Array): boolean {
  try {
    assertPlain(decodeFrame(bytes));
    return true;
  } catch (error) {
    if (error instanceof DamagedDataError) return false;
    throw error;
  }
}

test('what is nearly MessagePack decodes to plain data or is refused', (t) => {
  let decoded = 0;
  fc.assert(
    fc.property(piece, (header) => {
      if (decodesSafely(frame(header, undefined))) decoded += 1;
    }),
    { numRuns: 20_000 },
  );
  t.true(decoded > 1_000, `only ${decoded} were close enough to be decoded`);
  t.deepEqual(Object.keys(Object.prototype), [], 'no prototype was polluted');
});

test('any table of attachments is followed safely or refused', (t) => {
  const key = fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom<string | number>('a', 'b', 0, 1) },
    fc.constantFrom<string | number>('__proto__', 'constructor', 'length', -1, 1.5, 2 ** 32),
  );
  const entry = fc.tuple(
    fc.oneof({ weight: 8, arbitrary: fc.integer({ min: 0, max: 11 }) }, fc.integer()),
    fc.oneof({ weight: 8, arbitrary: fc.constantFrom(0, 1, 4, 8, 16) }, fc.maxSafeInteger()),
    fc.array(key, { maxLength: 3 }),
  );
  const value = fc.constantFrom<unknown>(
    null,
    [null, null],
    { a: null, b: { a: null } },
    7,
    'text',
  );
  let decoded = 0;
  fc.assert(
    fc.property(
      value,
      fc.array(entry, { maxLength: 3 }),
      fc.constantFrom(0, 0, 0, -1, 1),
      (root, table, lie) => {
        const end = table.reduce((at, [, bytes]) => Math.ceil(at / 8) * 8 + bytes, 0);
        const attachments = new Uint8Array(Math.max(0, Math.min(end, 64) + lie));
        const header = [...encodeFrame([root, table]).subarray(8)];
        if (decodesSafely(frame(header, attachments))) decoded += 1;
      },
    ),
    { numRuns: 20_000 },
  );
  t.true(decoded > 100, `only ${decoded} tables fitted`);
  t.deepEqual(Object.keys(Object.prototype), []);
});

test('a small frame can not announce much: counts are refused before anything is built', (t) => {
  const count = [0xff, 0xff, 0xff, 0xff];
  for (const token of [0xdd, 0xdf, 0xdb]) {
    const before = process.memoryUsage().rss;
    t.false(decodesSafely(frame([token, ...count], undefined)));
    t.true(process.memoryUsage().rss - before < 64 << 20);
  }
  // Nested lists of the largest count each: the sum counts, not each alone.
  const nested = Array.from({ length: 60 }, () => [0xdc, 0xff, 0xff]).flat();
  t.false(decodesSafely(frame(nested, undefined)));
});
