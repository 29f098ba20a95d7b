import test from 'ava';
import fc from 'fast-check';
import { NatsAnswerReader } from '../../../runtime/bus/nats-answer-reader.ts';

interface Sent {
  readonly line: string;
  readonly payload?: Buffer;
}

const payload = fc
  .tuple(fc.oneof(fc.nat(100), fc.nat(200_000)), fc.nat(255))
  // Line ends and what looks like a message are among the bytes.
  .map(([length, seed]) => Buffer.alloc(length, `MSG a.1 1 9000\r\n${seed}`));
const subject = fc.constantFrom('in.1', 'in.2', 'in.3', 'other');
const message = fc
  .tuple(subject, fc.constantFrom('', 'reply.to '), payload, fc.boolean())
  .map(([to, reply, bytes, headed]) => ({
    line: `${headed ? 'HMSG' : 'MSG'} ${to} 7 ${reply}${headed ? '0 ' : ''}${bytes.length}`,
    payload: bytes,
  }));
const control = fc
  .constantFrom('PING', 'PONG', '+OK', "-ERR 'a'", `INFO {"a":"${'M'.repeat(5_000)}"}`)
  .map((line) => ({ line }));
const sending = fc.array(fc.oneof<fc.Arbitrary<Sent>[]>(message, message, control), {
  maxLength: 8,
});
const cuts = fc.array(fc.integer({ min: 1, max: 90_000 }), { minLength: 1, maxLength: 8 });

function write(sent: readonly Sent[]): Buffer {
  return Buffer.concat(
    sent.flatMap(({ line, payload: bytes }) => [
      Buffer.from(`${line}\r\n`),
      ...(bytes ? [bytes, Buffer.from('\r\n')] : []),
    ]),
  );
}

/** Feeds the stream in pieces of the given lengths, over and over, or what fits. */
function read(reader: NatsAnswerReader, stream: Buffer, lengths: readonly number[]): void {
  let position = 0;
  for (let i = 0; position < stream.length; i += 1) {
    const target = reader.buffer();
    const length = Math.min(lengths[i % lengths.length]!, target.length);
    const piece = stream.subarray(position, position + length);
    target.set(piece);
    reader.received(piece.length);
    position += piece.length;
  }
}

test('what has a place comes there and all else goes on unchanged, however the stream is cut', (t) => {
  fc.assert(
    fc.property(sending, cuts, (sent, lengths) => {
      const wanted = new Map<string, number>();
      for (const { line, payload: bytes } of sent) {
        const [operation, to = '', , size, more] = line.split(' ');
        const placeable = operation === 'MSG' && to.startsWith('in.') && more === undefined;
        if (placeable && bytes && Number(size) >= 8_192) wanted.set(to, bytes.length);
      }
      const expected: Sent[] = [];
      const answers: [string, Buffer][] = [];
      const open = new Map(wanted);
      for (const one of sent) {
        const [operation, to = '', , , more] = one.line.split(' ');
        const mine = operation === 'MSG' && more === undefined && one.payload !== undefined;
        if (mine && open.get(to) === one.payload.length && one.payload.length >= 8_192) {
          open.delete(to);
          answers.push([to, one.payload]);
        } else expected.push(one);
      }
      const places = new Map([...wanted].map(([to, length]) => [to, Buffer.alloc(length)]));
      const passed: Buffer[] = [];
      const placed: [string, Buffer][] = [];
      const reader = new NatsAnswerReader(
        {
          placeFor: (to, byteLength) => {
            const place = places.get(to);
            return place?.length === byteLength ? place : undefined;
          },
          placed: (to, bytes) => {
            places.delete(to);
            placed.push([to, Buffer.from(bytes)]);
          },
        },
        (bytes) => passed.push(bytes),
      );
      read(reader, write(sent), lengths);
      t.deepEqual(placed, answers);
      t.true(Buffer.concat(passed).equals(write(expected)));
    }),
  );
});

test('a stream that is none of NATS goes on whole', (t) => {
  const passed: Buffer[] = [];
  const places = {
    placeFor: () => new Uint8Array(8_192),
    placed: () => t.fail('there was no message'),
  };
  const reader = new NatsAnswerReader(places, (bytes) => passed.push(bytes));
  const stream = Buffer.concat([Buffer.alloc(100_000, 'a'), Buffer.from('\nMSG a 1 8192\r\n')]);
  read(reader, Buffer.concat([stream, Buffer.alloc(9_000)]), [10_000]);
  t.true(Buffer.concat(passed).subarray(0, stream.length).equals(stream));
});
