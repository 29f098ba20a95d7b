import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import {
  DamagedDataError,
  DeadlineError,
  NoResponderError,
  PayloadTooLargeError,
} from '../../../errors.ts';
import type { Bus } from '../../../runtime/bus/bus.ts';
import { connectLocalBus } from '../../../runtime/bus/local-bus.ts';
import { startLocalHub } from '../../../runtime/bus/local-hub.ts';
import { createMemoryNetwork } from '../../../runtime/bus/memory-bus.ts';
import { connectNatsBus } from '../../../runtime/bus/nats-bus.ts';
import { fetchChunks } from '../../../runtime/wire/chunk-fetch.ts';
import { decodeChunkRequest, encodeChunkRequest } from '../../../runtime/wire/chunk-request.ts';
import { type ChunkReference, offerChunks } from '../../../runtime/wire/chunks.ts';
import { pattern } from '../../support/bus-contract.ts';
import { withFaultyAnswers } from '../../support/faulty-bus.ts';
import { startNatsServer } from '../../support/nats-server.ts';

const timeoutMs = 30_000;
const CHUNK_BYTES = 1_000;

function memoryPair(): { sender: Bus; receiver: Bus } {
  const network = createMemoryNetwork();
  return { sender: network.connect(), receiver: network.connect() };
}

async function localPair(t: ExecutionContext) {
  const hub = await startLocalHub();
  t.teardown(() => hub.close());
  const connect = () => connectLocalBus({ socketPath: hub.socketPath, timeoutMs });
  return { sender: await connect(), receiver: await connect(), address: hub.socketPath };
}

async function natsPair(t: ExecutionContext) {
  const server = await startNatsServer();
  t.teardown(() => server.stop());
  const connect = () => connectNatsBus({ servers: server.url, timeoutMs });
  const pair = { sender: await connect(), receiver: await connect(), address: server.url };
  t.teardown(() => Promise.all([pair.sender.close(), pair.receiver.close()]));
  return { ...pair, server };
}

/** For fetches that should fail: a failing test must not print megabytes. */
const lengthOf = async (fetched: Promise<Uint8Array>): Promise<number> => (await fetched).length;
const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.from(a).equals(b);

const pairs = { memory: async () => memoryPair(), local: localPair, nats: natsPair };
for (const [kind, open] of Object.entries(pairs)) {
  test(`values of every size cross the ${kind} bus whole`, async (t) => {
    const { sender, receiver } = await open(t);
    for (const size of [0, 1, 1 << 20, 5_000_003, 20 << 20]) {
      const value = pattern(size);
      const { reference, done } = offerChunks(sender, value, { timeoutMs });
      t.is(reference.byteLength, size);
      await sender.flush();
      const fetched = await fetchChunks(receiver, reference, { timeoutMs });
      t.true(same(fetched, value), `${size} bytes differ`);
      await t.notThrowsAsync(done);
    }
  });
}

test('a lost, a damaged and a late chunk are all made good', async (t) => {
  const { sender, receiver } = memoryPair();
  const value = pattern(50 * CHUNK_BYTES + 7);
  const { reference, done } = offerChunks(sender, value, { timeoutMs, chunkBytes: CHUNK_BYTES });
  const late = Promise.withResolvers<void>();
  const faulty = withFaultyAnswers(receiver, async (answer, ordinal) => {
    if (ordinal === 40) late.resolve();
    if (ordinal % 10 === 3) return { ...answer, data: answer.data.map((byte) => byte ^ 1) };
    if (ordinal % 10 === 4) return { ...answer, data: answer.data.subarray(1) };
    if (ordinal === 5) await late.promise;
    return answer;
  });
  t.true(same(await fetchChunks(faulty, reference, { timeoutMs }), value));
  await t.notThrowsAsync(done);
});

test('a chunk that is lost is asked for again', async (t) => {
  const { sender, receiver } = memoryPair();
  const value = pattern(20 * CHUNK_BYTES);
  const { reference } = offerChunks(sender, value, { timeoutMs, chunkBytes: CHUNK_BYTES });
  let lost = 0;
  const faulty = withFaultyAnswers(receiver, (answer, ordinal) => {
    if (ordinal % 4 !== 1) return answer;
    lost += 1;
    return 'lost';
  });
  const fetched = await fetchChunks(faulty, reference, { timeoutMs, retryMs: 5 });
  t.true(same(fetched, value));
  t.true(lost > 5);
});

test('a sender that sends the wrong bytes again and again is given up', async (t) => {
  const { sender, receiver } = memoryPair();
  const value = pattern(5 * CHUNK_BYTES);
  const { reference } = offerChunks(sender, value, { timeoutMs, chunkBytes: CHUNK_BYTES });
  value[2_500]! ^= 1;
  await t.throwsAsync(lengthOf(fetchChunks(receiver, reference, { timeoutMs })), {
    instanceOf: DamagedDataError,
    message: /contradicts its checksum 3 times/,
  });
});

test('a reference with another checksum fetches nothing', async (t) => {
  const { sender, receiver } = memoryPair();
  const { reference } = offerChunks(sender, pattern(5_000), { timeoutMs });
  const forged = { ...reference, crc32: reference.crc32! ^ 1 };
  await t.throwsAsync(lengthOf(fetchChunks(receiver, forged, { timeoutMs })), {
    instanceOf: DamagedDataError,
  });
});

test('a reference that describes no value, or too large a one, is refused unasked', async (t) => {
  const { receiver } = memoryPair();
  const good: ChunkReference = { subject: 'a', byteLength: 10, chunkBytes: 5, crc32: 0 };
  const bad = [
    { ...good, byteLength: -1 },
    { ...good, byteLength: 2.5 },
    { ...good, byteLength: Number.NaN },
    { ...good, chunkBytes: 0 },
    { ...good, byteLength: 2 ** 40, chunkBytes: 1 },
  ];
  for (const reference of bad) {
    const fetch = lengthOf(fetchChunks(receiver, reference, { timeoutMs, bytesMax: 100 }));
    await t.throwsAsync(fetch, { instanceOf: DamagedDataError }, JSON.stringify(reference));
  }
  const large = { ...good, byteLength: 101 };
  await t.throwsAsync(lengthOf(fetchChunks(receiver, large, { timeoutMs, bytesMax: 100 })), {
    instanceOf: PayloadTooLargeError,
    message: /101 bytes.* 100 are taken/,
  });
});

test('a fetch ends with the reason of its signal', async (t) => {
  const { sender, receiver } = memoryPair();
  const { reference } = offerChunks(sender, pattern(50_000), {
    timeoutMs,
    chunkBytes: CHUNK_BYTES,
  });
  const controller = new AbortController();
  const reason = new Error('no longer needed');
  const faulty = withFaultyAnswers(receiver, (answer, ordinal) => {
    if (ordinal >= 10) controller.abort(reason);
    return answer;
  });
  const { signal } = controller;
  const fetch = lengthOf(fetchChunks(faulty, reference, { timeoutMs, signal }));
  t.is(await t.throwsAsync(fetch), reason);
});

test('an offer and a fetch end at their deadlines', async (t) => {
  const { sender, receiver } = memoryPair();
  const offer = offerChunks(sender, pattern(5_000), { timeoutMs: 20 });
  await t.throwsAsync(offer.done, { instanceOf: DeadlineError, message: /5000 bytes.*20 ms/ });
  const fetch = lengthOf(fetchChunks(receiver, offer.reference, { timeoutMs }));
  await t.throwsAsync(fetch, { instanceOf: NoResponderError });
  const silent = { ...offer.reference, subject: 'silent' };
  sender.subscribe('silent', () => undefined);
  await t.throwsAsync(lengthOf(fetchChunks(receiver, silent, { timeoutMs: 20 })), {
    instanceOf: DeadlineError,
    message: /5000 bytes from silent.*20 ms/,
  });
});

test('an offer that is taken back fails the fetch that is under way', async (t) => {
  const { sender, receiver } = memoryPair();
  const value = pattern(100 * CHUNK_BYTES);
  const offer = offerChunks(sender, value, { timeoutMs, chunkBytes: 100 * 1000 });
  offer.cancel();
  offer.cancel();
  await t.throwsAsync(offer.done, { name: 'AbortError' });
  await t.throwsAsync(lengthOf(fetchChunks(receiver, offer.reference, { timeoutMs })), {
    instanceOf: NoResponderError,
    message: /took it back or died/,
  });
  const other = offerChunks(sender, value, { timeoutMs, chunkBytes: 10 });
  const faulty = withFaultyAnswers(receiver, (answer, ordinal) => {
    if (ordinal >= 3) other.cancel();
    return answer;
  });
  await t.throwsAsync(lengthOf(fetchChunks(faulty, other.reference, { timeoutMs })), {
    instanceOf: NoResponderError,
  });
});

test('two receivers can fetch one offer at the same time', async (t) => {
  const { sender, receiver } = memoryPair();
  const value = pattern(3_000_000);
  const { reference } = offerChunks(sender, value, { timeoutMs });
  const held = Promise.withResolvers<void>();
  const slow = withFaultyAnswers(receiver, async (answer, ordinal) => {
    if (ordinal === 1) await held.promise;
    return answer;
  });
  const fetches = [slow, slow].map((bus) => fetchChunks(bus, reference, { timeoutMs }));
  held.resolve();
  for (const fetched of await Promise.all(fetches)) t.true(same(fetched, value));
});

test('a sender answers no duplicate, and never more than 4 MB that are not settled', async (t) => {
  const { sender, receiver } = memoryPair();
  const chunkBytes = 1 << 20;
  const { reference } = offerChunks(sender, new Uint8Array(20 << 20), { timeoutMs, chunkBytes });
  const ask = async (sequence: number, settledBelow: number): Promise<number> => {
    const request = {
      kind: 'chunk',
      receiver: 'r',
      index: sequence,
      sequence,
      settledBelow,
    } as const;
    const options = { timeoutMs: 100 };
    const data = encodeChunkRequest(request);
    const answer = await receiver.request(reference.subject, data, options).catch(() => undefined);
    return answer?.data.length ?? 0;
  };
  const answered = await Promise.all([1, 2, 2, 3, 4, 5, 6].map((sequence) => ask(sequence, 1)));
  const mb = 1 << 20;
  t.deepEqual(answered, [mb, mb, 0, mb, mb, 0, 0]);
  t.is(await ask(7, 3), mb);
  t.is(await ask(2, 3), 0);
});

test('bytes that are no request for chunks are ignored', (t) => {
  t.is(decodeChunkRequest(new Uint8Array()), undefined);
  t.is(decodeChunkRequest(new Uint8Array(13).fill(9)), undefined);
  t.is(decodeChunkRequest(new Uint8Array(1_000)), undefined);
  const request = { kind: 'chunk', receiver: 'r', index: 1, sequence: 2, settledBelow: 1 } as const;
  t.deepEqual(decodeChunkRequest(encodeChunkRequest(request)), request);
});

for (const [kind, open] of [['local', localPair] as const, ['nats', natsPair] as const]) {
  test(`a sender on the ${kind} bus that is killed fails the fetch`, async (t) => {
    const { receiver, address } = await open(t);
    const child = fork(fileURLToPath(new URL('../../support/chunk-sender.ts', import.meta.url)), [
      kind,
      address,
    ]);
    const exited = once(child, 'exit');
    const [reference] = (await once(child, 'message')) as [ChunkReference];
    const faulty = withFaultyAnswers(receiver, (answer, ordinal) => {
      if (ordinal >= 20) child.kill('SIGKILL');
      return answer;
    });
    await t.throwsAsync(lengthOf(fetchChunks(faulty, reference, { timeoutMs, retryMs: 200 })), {
      instanceOf: NoResponderError,
    });
    await exited;
  });
}

test('a transfer survives the restart of the NATS server', async (t) => {
  const { sender, receiver, server } = await natsPair(t);
  const value = pattern(10 << 20);
  const { reference } = offerChunks(sender, value, { timeoutMs });
  let restarted: Promise<void> | undefined;
  const faulty = withFaultyAnswers(receiver, (answer, ordinal) => {
    if (ordinal >= 20) restarted ??= server.kill().then(() => server.start());
    return answer;
  });
  t.true(same(await fetchChunks(faulty, reference, { timeoutMs, retryMs: 500 }), value));
  t.truthy(restarted);
  await restarted;
});
