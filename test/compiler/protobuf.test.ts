import test from 'ava';
import { ProtobufWriter } from '../../compiler/protobuf.ts';

function write(body: (writer: ProtobufWriter) => void): readonly number[] {
  const writer = new ProtobufWriter(1);
  body(writer);
  return [...writer.bytes];
}

test('integers are variable-length, seven bits a byte', (t) => {
  t.deepEqual(
    write((w) => w.integer(1, 0)),
    [8, 0],
  );
  t.deepEqual(
    write((w) => w.integer(1, 150)),
    [8, 0x96, 1],
  );
  t.deepEqual(
    write((w) => w.integer(20, 2 ** 40)),
    [0xa0, 1, 128, 128, 128, 128, 128, 32],
  );
});

test('negative integers take ten bytes', (t) => {
  t.deepEqual(
    write((w) => w.integer(1, -1)),
    [8, ...Array(9).fill(255), 1],
  );
});

test('strings, floats, packed integers and messages carry their kind and length', (t) => {
  t.deepEqual(
    write((w) => w.string(2, 'héy')),
    [18, 4, 104, 0xc3, 0xa9, 121],
  );
  t.deepEqual(
    write((w) => w.float(3, 1)),
    [29, 0, 0, 0x80, 0x3f],
  );
  t.deepEqual(
    write((w) => w.packed(4, [1, 300])),
    [34, 3, 1, 0xac, 2],
  );
  t.deepEqual(
    write((w) => w.message(5, (m) => m.integer(1, 7))),
    [42, 2, 8, 7],
  );
});

test('a message longer than the first capacity keeps all its bytes', (t) => {
  const bytes = Uint8Array.from({ length: 1000 }, (_, i) => i % 251);
  const written = write((w) => {
    w.integer(1, 5);
    w.bytesField(9, bytes);
  });
  t.deepEqual(written.slice(0, 5), [8, 5, 74, 0xe8, 7]);
  t.deepEqual(written.slice(5), [...bytes]);
});
