import test from 'ava';
import fc from 'fast-check';
import { DamagedDataError } from '../../../errors.ts';
import { encodeFrame } from '../../../runtime/wire/frame.ts';
import { decodeMessage, encodeMessage, type WireMessage } from '../../../runtime/wire/wire.ts';

const chunks = { subject: 's', byteLength: 10, chunkBytes: 5, crc32: 1 };
const toActor = { to: 'a@n#1', from: 'inbox' };
const cause = { kind: 'signal', signal: 'SIGKILL', message: 'gone', lastOutput: ['x'] } as const;
const call = { kind: 'call', ...toActor, seq: 3, floor: 1, method: 'add', timeoutMs: 9 } as const;
const resources = { cpu: 1, memoryBytes: 2 };
const samples: readonly WireMessage[] = [
  { ...call, value: [1, new Float32Array([1, 2])] },
  { ...call, credit: 16, chunks, value: undefined },
  {
    ...call,
    value: [],
    trace: { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' },
  },
  { ...call, key: 'order 7', value: [] },
  { ...call, to: '\ufeffgröße 日本@n#1', method: 'm'.repeat(300), value: [] },
  { kind: 'reply', of: 'a@n#1', seq: 3, value: undefined },
  { kind: 'reply', of: 'a@n#1', seq: 3, value: undefined, error: { name: 'E', message: 'm' } },
  { kind: 'item', of: 'a@n#1', seq: 3, index: 0, value: 'x' },
  { kind: 'end', of: 'a@n#1', seq: 3, index: 2 },
  { kind: 'credit', ...toActor, seq: 3, received: 1, allowed: 17, resend: true },
  { kind: 'cancel', ...toActor, seq: 3 },
  { kind: 'probe', ...toActor, floor: 1, next: 4 },
  { kind: 'progress', of: 'a@n#1', missing: [1], forgotten: [] },
  { kind: 'ping' },
  {
    kind: 'state',
    owner: 'n',
    name: 'a',
    version: 1,
    status: 'dead',
    epoch: 1,
    nodeId: 'n',
    cause,
  },
  { kind: 'exited', secret: 's', incarnation: 'a@n#1', cause },
  { kind: 'spawn', parent: 'a@n#1', request: 1, type: 'a/b', module: 'file:///m', value: [{}, {}] },
  { kind: 'spawned', name: 'b', owner: 'n', owned: true },
  { kind: 'stop-child', name: 'b', timeoutMs: 5 },
  {
    kind: 'heartbeat',
    protocol: 1,
    nodeId: 'n',
    nodeName: 'name',
    pid: 1,
    labels: { zone: 'a' },
    resources,
    free: resources,
    actorTypes: ['a/b'],
    actors: 0,
    draining: false,
    leaving: false,
    nextMs: 1_000,
  },
];

for (const [index, message] of samples.entries()) {
  test(`a ${message.kind} message comes back as it was (${index})`, (t) => {
    t.deepEqual(decodeMessage(encodeMessage(message)), message);
  });
}

test('what is no message is refused as damaged, never taken apart further', (t) => {
  const foreign: readonly unknown[] = [
    null,
    7,
    'text',
    {},
    [],
    { kind: 'nothing' },
    { kind: 'cancel', to: 'a' },
    { kind: 'state', owner: 'n', name: 'a', version: 1, status: 'asleep', epoch: 1, nodeId: 'n' },
  ];
  for (const value of foreign) {
    t.throws(() => decodeMessage(encodeFrame(value)), { instanceOf: DamagedDataError });
  }
});

test('an envelope that contradicts itself is refused as damaged', (t) => {
  const whole = encodeMessage({ ...call, credit: 16, value: [] });
  const lies: readonly (readonly [what: string, at: number, byte: number])[] = [
    ['a kind that there is not', 3, 9],
    ['an envelope shorter than its names', 4, 40],
    ['an envelope longer than the message', 5, 1],
    ['a seq over 2^53', 15, 0x40],
    ['names longer than the envelope', 28, 200],
  ];
  for (const [what, at, byte] of lies) {
    const bytes = Uint8Array.from(whole);
    bytes[at] = byte;
    t.throws(() => decodeMessage(bytes), { instanceOf: DamagedDataError }, what);
  }
  const now = Uint8Array.from(encodeMessage({ ...call, value: [] }));
  now.fill(0, 24, 28);
  t.throws(() => decodeMessage(now), { instanceOf: DamagedDataError }, 'no time at all');
});

test('a time that no timer can wait is refused as damaged', (t) => {
  const kinds = [
    { kind: 'leave' },
    { kind: 'drain', to: 'a@n#1', secret: 's' },
    { kind: 'move', name: 'a', incarnation: 'a@n#1' },
    { kind: 'end-actor', name: 'a' },
    { kind: 'stop-child', name: 'a' },
  ];
  for (const fields of kinds) {
    const decode = (timeoutMs: unknown) => decodeMessage(encodeFrame({ ...fields, timeoutMs }));
    t.notThrows(() => decode(0.5), fields.kind);
    for (const timeoutMs of [-5, 0, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 31, '5']) {
      const what = `${fields.kind} ${timeoutMs}`;
      t.throws(() => decode(timeoutMs), { instanceOf: DamagedDataError }, what);
    }
  }
});

test('rare fields of a wrong type are refused as damaged', (t) => {
  const wrong = [{ credit: -1 }, { key: 7 }, { chunks: { subject: 1 } }, { trace: { a: 1 } }, 7];
  for (const rare of wrong) {
    const bytes = encodeMessage({ ...call, value: [rare, []] });
    bytes[34] = 1;
    t.throws(() => decodeMessage(bytes), { instanceOf: DamagedDataError }, JSON.stringify(rare));
  }
  const reply = { kind: 'reply', of: 'a@n#1', seq: 1 } as const;
  const bytes = encodeMessage({ ...reply, value: [{ error: { name: 1 } }, null] });
  bytes[34] = 1;
  t.throws(() => decodeMessage(bytes), { instanceOf: DamagedDataError });
});

test('changed bytes never raise anything but DamagedDataError', (t) => {
  const encoded = samples.map(encodeMessage);
  fc.assert(
    fc.property(fc.nat(), fc.nat(), fc.integer({ min: 1, max: 255 }), (which, where, change) => {
      const bytes = Uint8Array.from(encoded[which % encoded.length]!);
      bytes[where % bytes.length]! ^= change;
      try {
        decodeMessage(bytes);
      } catch (error) {
        if (!(error instanceof DamagedDataError)) throw error;
      }
    }),
    { numRuns: 2_000 },
  );
  t.pass();
});
