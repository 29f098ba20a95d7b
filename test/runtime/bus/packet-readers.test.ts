import test from 'ava';
import fc from 'fast-check';
import {
  type PacketHead,
  packetHeadBytes,
  writePacketHead,
} from '../../../runtime/bus/local-wire.ts';
import { InPlaceReader, PieceReader } from '../../../runtime/bus/packet-readers.ts';

interface Sent {
  readonly kind: number;
  readonly id: number;
  readonly subject: string;
  readonly extra: string;
  readonly payload: Uint8Array;
}

const text = fc.stringMatching(/^[a-z.]{0,40}$/);
const packet = fc.record({
  kind: fc.integer({ min: 1, max: 13 }),
  id: fc.nat(0xffff_ffff),
  subject: text,
  extra: text,
  payload: fc
    .tuple(fc.oneof(fc.nat(100), fc.nat(200_000)), fc.nat(255))
    .map(([length, seed]) => new Uint8Array(length).map((_, i) => i * 7 + seed)),
});
const packets = fc.array(packet, { minLength: 1, maxLength: 6 });
const cuts = fc.array(fc.integer({ min: 1, max: 90_000 }), { minLength: 1, maxLength: 8 });
const PAYLOAD_BYTES_MAX = 1 << 20;

function write(sent: readonly Sent[]): Buffer {
  const parts = sent.flatMap(({ payload, ...head }) => {
    const bytes = Buffer.alloc(packetHeadBytes(head));
    writePacketHead(bytes, 0, { ...head, byteLength: payload.length });
    return [bytes, payload];
  });
  return Buffer.concat(parts);
}

/** The bytes in pieces of the given lengths, over and over. */
function* cut(bytes: Buffer, lengths: readonly number[]): Generator<Buffer> {
  let position = 0;
  for (let i = 0; position < bytes.length; i += 1) {
    const length = lengths[i % lengths.length]!;
    yield Buffer.from(bytes.subarray(position, position + length));
    position += length;
  }
}

function asSent({ kind, id, subject, extra }: PacketHead, payload: Uint8Array): Sent {
  return { kind, id, subject, extra, payload: new Uint8Array(payload) };
}

test('both readers give the packets that were written, however the stream is cut', (t) => {
  fc.assert(
    fc.property(packets, cuts, fc.boolean(), (sent, lengths, placed) => {
      const stream = write(sent);
      const [pieces, places]: [Sent[], Sent[]] = [[], []];
      const pieceReader = new PieceReader(PAYLOAD_BYTES_MAX, (head, parts) => {
        pieces.push(asSent(head, Buffer.concat(parts)));
      });
      const inPlaceReader = new InPlaceReader(
        PAYLOAD_BYTES_MAX,
        ({ payloadBytes }) => (placed ? new Uint8Array(payloadBytes) : undefined),
        (head, payload) => places.push(asSent(head, payload)),
      );
      for (const chunk of cut(stream, lengths)) {
        pieceReader.push(chunk);
        inPlaceReader.push(chunk);
      }
      t.true(isEqual(pieces, sent));
      t.true(isEqual(places, sent));
    }),
    { numRuns: 100 },
  );
});

/** Without the costly comparison of large values that would end in an equally large message. */
function isEqual(received: readonly Sent[], sent: readonly Sent[]): boolean {
  return (
    received.length === sent.length &&
    sent.every(({ payload, ...head }, i) => {
      const { payload: other, ...otherHead } = received[i]!;
      const same = JSON.stringify(head) === JSON.stringify(otherHead);
      return same && Buffer.from(payload).equals(other);
    })
  );
}

test('arbitrary bytes are packets or a RangeError, nothing else', (t) => {
  const bytes = fc.uint8Array({ minLength: 1, maxLength: 200 });
  fc.assert(
    fc.property(
      packets,
      fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 3 }),
      bytes,
      (sent, edits, tail) => {
        const stream = Buffer.concat([write(sent), tail]);
        for (const [at, byte] of edits) stream[at % stream.length] = byte;
        const readers = [
          new PieceReader(PAYLOAD_BYTES_MAX, () => undefined),
          new InPlaceReader(
            PAYLOAD_BYTES_MAX,
            () => undefined,
            () => undefined,
          ),
        ];
        for (const reader of readers) {
          try {
            for (const chunk of cut(stream, [50_000])) reader.push(chunk);
          } catch (error) {
            if (!(error instanceof RangeError)) throw error;
          }
        }
      },
    ),
    { numRuns: 300 },
  );
  t.pass();
});
