import { getEventListeners } from 'node:events';
import test, { type ExecutionContext } from 'ava';
import {
  BusClosedError,
  DeadlineError,
  NoResponderError,
  PayloadTooLargeError,
} from '../../errors.ts';
import type { Bus, BusMessage } from '../../runtime/bus/bus.ts';

export interface BusNetwork {
  connect(): Promise<Bus>;
  close(): Promise<void>;
}

const TIMEOUT_MS = 20_000;
const bytes = (text: string): Uint8Array => Buffer.from(text);
const text = (message: BusMessage): string => Buffer.from(message.data).toString();

/** Registers what every bus must do; `open` makes a network that only these tests use. */
export function registerBusContract(name: string, open: () => Promise<BusNetwork>): void {
  let network: BusNetwork;
  let tests = 0;
  test.before(async () => {
    network = await open();
  });
  test.after.always(() => network.close());

  interface Scene {
    /** Words for subjects that no other test uses. */
    readonly topic: string;
    connect(): Promise<Bus>;
  }
  const busTest = (title: string, body: (t: ExecutionContext, scene: Scene) => Promise<void>) =>
    test(`${name} bus: ${title}`, async (t) => {
      tests += 1;
      const buses: Bus[] = [];
      const connect = async (): Promise<Bus> => {
        const bus = await network.connect();
        buses.push(bus);
        return bus;
      };
      try {
        await body(t, { topic: `test${tests}`, connect });
      } finally {
        await Promise.all(buses.map((bus) => bus.close()));
      }
    });

  busTest('a message reaches every subscriber of its subject', async (t, { topic, connect }) => {
    const [sender, one, other] = [await connect(), await connect(), await connect()];
    const received = [collect(one, topic, 1), collect(other, topic, 1), collect(sender, topic, 1)];
    one.subscribe(`${topic}.else`, () => t.fail());
    await Promise.all([one.flush(), other.flush(), sender.flush()]);
    sender.publish(topic, bytes('hello'), { replySubject: 'answers.here' });
    for (const [message] of await Promise.all(received)) {
      t.is(message?.subject, topic);
      t.is(message?.replySubject, 'answers.here');
      t.is(text(message!), 'hello');
    }
  });

  busTest(
    'a star stands for one word, a last > for all the rest',
    async (t, { topic, connect }) => {
      const bus = await connect();
      const heard: string[] = [];
      const patterns = ['a.b', 'a.*', '*.b', 'a.>', '>', 'a.*.c', 'a.b.>'];
      for (const pattern of patterns) {
        bus.subscribe(`${topic}.${pattern}`, ({ subject }) => {
          heard.push(`${pattern} ${subject.slice(topic.length + 1)}`);
        });
      }
      const end = collect(bus, `${topic}.end`, 1);
      for (const subject of ['a.b', 'a', 'a.b.c', 'end'])
        bus.publish(`${topic}.${subject}`, bytes(''));
      await end;
      const expected = ['a.b', 'a.*', '*.b', 'a.>', '>'].map((pattern) => `${pattern} a.b`);
      expected.push('> a', 'a.> a.b.c', '> a.b.c', 'a.*.c a.b.c', 'a.b.> a.b.c', '> end');
      t.deepEqual(heard.sort(), expected.sort());
    },
  );

  busTest('one member of a queue group gets each message', async (t, { topic, connect }) => {
    const [sender, one, other] = [await connect(), await connect(), await connect()];
    const members = [0, 0];
    const all = Promise.withResolvers<void>();
    const take = (member: number) => () => {
      members[member]! += 1;
      if (members[0]! + members[1]! === 100) all.resolve();
    };
    one.subscribe(topic, take(0), { queue: 'workers' });
    other.subscribe(topic, take(1), { queue: 'workers' });
    const watched = collect(one, topic, 100);
    await Promise.all([one.flush(), other.flush()]);
    for (let i = 0; i < 100; i += 1) sender.publish(topic, bytes(String(i)));
    await Promise.all([all.promise, watched]);
    // What came twice would come before the answer to this.
    await Promise.all([sender.flush(), one.flush(), other.flush()]);
    t.is(members[0]! + members[1]!, 100);
    t.true(members[0]! > 0 && members[1]! > 0, `all went to one member: ${members}`);
  });

  busTest('a request resolves with its own answer, in whatever order', async (t, scene) => {
    const [caller, server] = [await scene.connect(), await scene.connect()];
    const waiting: BusMessage[] = [];
    server.subscribe(scene.topic, (message) => {
      waiting.push(message);
      if (waiting.length < 10) return;
      for (const { replySubject, data } of waiting.reverse()) server.publish(replySubject!, data);
    });
    await server.flush();
    const questions = Array.from({ length: 10 }, (_, i) => `question ${i}`);
    const answers = await Promise.all(
      questions.map((question) =>
        caller.request(scene.topic, bytes(question), { timeoutMs: TIMEOUT_MS }),
      ),
    );
    t.deepEqual(answers.map(text), questions);
  });

  busTest('the first answer counts and a later one is ignored', async (t, { topic, connect }) => {
    const [caller, server] = [await connect(), await connect()];
    server.subscribe(topic, ({ replySubject }) => {
      server.publish(replySubject!, bytes('first'));
      server.publish(replySubject!, bytes('second'));
    });
    await server.flush();
    const ask = () => caller.request(topic, bytes(''), { timeoutMs: TIMEOUT_MS });
    t.is(text(await ask()), 'first');
    t.is(text(await ask()), 'first');
  });

  busTest('an answer may be asked into a place, and comes whole anyway', async (t, scene) => {
    const [caller, server] = [await scene.connect(), await scene.connect()];
    const question = pattern(10);
    server.subscribe(scene.topic, ({ replySubject }) =>
      server.publish(replySubject!, pattern(300_000)),
    );
    await server.flush();
    for (const size of [300_000, 299_999]) {
      const around = new Uint8Array(size + 20);
      const into = around.subarray(10, 10 + size);
      const options = { timeoutMs: TIMEOUT_MS, into };
      const { data } = await caller.request(scene.topic, question, options);
      t.true(Buffer.from(data).equals(pattern(300_000)));
      const touched = around.some((byte) => byte !== 0);
      t.is(touched, data.buffer === around.buffer);
      t.false(touched && size !== 300_000, 'an answer of another length needs its own place');
      t.true([...around.subarray(0, 10), ...around.subarray(-10)].every((byte) => byte === 0));
    }
  });

  busTest('a request that nobody listens to fails at once', async (t, { topic, connect }) => {
    const bus = await connect();
    await t.throwsAsync(bus.request(topic, bytes(''), { timeoutMs: 10 * TIMEOUT_MS }), {
      instanceOf: NoResponderError,
      message: new RegExp(topic),
    });
    const subscription = bus.subscribe(topic, ({ replySubject }) =>
      bus.publish(replySubject!, bytes('here')),
    );
    t.is(text(await bus.request(topic, bytes(''), { timeoutMs: TIMEOUT_MS })), 'here');
    subscription.unsubscribe();
    await t.throwsAsync(bus.request(topic, bytes(''), { timeoutMs: 10 * TIMEOUT_MS }), {
      instanceOf: NoResponderError,
    });
  });

  busTest('a request that is not answered fails at its deadline', async (t, { topic, connect }) => {
    const [caller, server] = [await connect(), await connect()];
    server.subscribe(topic, () => undefined);
    await server.flush();
    await t.throwsAsync(caller.request(topic, bytes(''), { timeoutMs: 30 }), {
      instanceOf: DeadlineError,
      message: /30 ms/,
    });
    await t.throwsAsync(caller.request(topic, bytes(''), { timeoutMs: 0 }), {
      instanceOf: RangeError,
    });
  });

  busTest('a request ends with the reason of its signal', async (t, { topic, connect }) => {
    const [caller, server] = [await connect(), await connect()];
    const controller = new AbortController();
    const reason = new Error('changed my mind');
    server.subscribe(topic, ({ replySubject }) => {
      if (replySubject) controller.abort(reason);
    });
    await server.flush();
    const { signal } = controller;
    const request = caller.request(topic, bytes(''), { timeoutMs: TIMEOUT_MS, signal });
    t.is(await t.throwsAsync(request), reason);
    const late = caller.request(topic, bytes(''), { timeoutMs: TIMEOUT_MS, signal });
    t.is(await t.throwsAsync(late), reason);
    t.is(getEventListeners(signal, 'abort').length, 0);
  });

  busTest('a request leaves no listener on its signal', async (t, { topic, connect }) => {
    const bus = await connect();
    bus.subscribe(topic, ({ replySubject }) => bus.publish(replySubject!, bytes('')));
    const { signal } = new AbortController();
    for (let i = 0; i < 20; i += 1) {
      await bus.request(topic, bytes(''), { timeoutMs: TIMEOUT_MS, signal });
    }
    t.is(getEventListeners(signal, 'abort').length, 0);
  });

  busTest('a payload of the limit arrives whole, one over it is refused', async (t, scene) => {
    const [sender, receiver] = [await scene.connect(), await scene.connect()];
    const arrived = collect(receiver, scene.topic, 4);
    await receiver.flush();
    for (const size of [0, 5_000, 100_001, sender.payloadBytesMax]) {
      sender.publish(scene.topic, pattern(size));
    }
    const sizes = (await arrived).map(({ data }) => {
      t.true(Buffer.from(data).equals(pattern(data.length)), `${data.length} bytes differ`);
      return data.length;
    });
    t.deepEqual(sizes, [0, 5_000, 100_001, sender.payloadBytesMax]);
    const over = new Uint8Array(sender.payloadBytesMax + 1);
    t.throws(() => sender.publish(scene.topic, over), { instanceOf: PayloadTooLargeError });
    await t.throwsAsync(sender.request(scene.topic, over, { timeoutMs: TIMEOUT_MS }), {
      instanceOf: PayloadTooLargeError,
    });
  });

  busTest('messages of one sender arrive in order', async (t, { topic, connect }) => {
    const [sender, receiver] = [await connect(), await connect()];
    const arrived = collect(receiver, `${topic}.*`, 3_000);
    await receiver.flush();
    for (let i = 0; i < 3_000; i += 1) {
      sender.publish(`${topic}.${i % 3}`, pattern(i % 50 === 0 ? 20_000 : 10, i));
    }
    const order = (await arrived).map(({ data }) => Buffer.from(data).readUInt32LE(0));
    t.deepEqual(
      order,
      Array.from({ length: 3_000 }, (_, i) => i),
    );
  });

  busTest('no call follows the end of a subscription', async (t, { topic, connect }) => {
    const bus = await connect();
    let calls = 0;
    const subscription = bus.subscribe(topic, () => {
      calls += 1;
      subscription.unsubscribe();
      subscription.unsubscribe();
    });
    const end = collect(bus, `${topic}.end`, 1);
    for (let i = 0; i < 10; i += 1) bus.publish(topic, bytes(''));
    bus.publish(`${topic}.end`, bytes(''));
    await end;
    t.is(calls, 1);
  });

  busTest('an inbox belongs to its connection alone', async (t, { connect }) => {
    const [one, other] = [await connect(), await connect()];
    const inboxes = [one, other].flatMap((bus) => [bus.createInbox(), bus.createInbox()]);
    t.is(new Set(inboxes).size, 4);
    const arrived = collect(one, inboxes[0]!, 1);
    await one.flush();
    other.publish(inboxes[0]!, bytes('for one'));
    t.is(text((await arrived)[0]!), 'for one');
  });

  busTest('a subject with a space, an empty word or a wildcard is refused', async (t, scene) => {
    const bus = await scene.connect();
    for (const subject of ['', '.', 'a..b', 'a.', 'a b', 'a\r\nb', 'a.*', 'a.>', 'é']) {
      t.throws(() => bus.publish(subject, bytes('')), { instanceOf: TypeError }, subject);
      const request = bus.request(subject, bytes(''), { timeoutMs: TIMEOUT_MS });
      await t.throwsAsync(request, { instanceOf: TypeError }, subject);
    }
    for (const subject of ['', 'a..b', 'a.>.b', 'a*', '>>', 'a b']) {
      t.throws(() => bus.subscribe(subject, () => undefined), { instanceOf: TypeError }, subject);
    }
    const inQueue = { queue: 'two words' };
    t.throws(() => bus.subscribe('a', () => undefined, inQueue), { instanceOf: TypeError });
  });

  busTest('drain handles what has arrived, sends the answers and closes', async (t, scene) => {
    const [caller, server] = [await scene.connect(), await scene.connect()];
    server.subscribe(scene.topic, ({ replySubject, data }) => server.publish(replySubject!, data));
    await server.flush();
    const requests = Array.from({ length: 200 }, (_, i) =>
      caller.request(scene.topic, pattern(100, i), { timeoutMs: TIMEOUT_MS }),
    );
    await caller.flush();
    await server.drain();
    t.is((await Promise.all(requests)).length, 200);
    t.throws(() => server.publish(scene.topic, bytes('')), { instanceOf: BusClosedError });
    await t.throwsAsync(caller.request(scene.topic, bytes(''), { timeoutMs: TIMEOUT_MS }), {
      instanceOf: NoResponderError,
    });
  });

  busTest('close rejects what waits and refuses what comes', async (t, { topic, connect }) => {
    const [bus, server] = [await connect(), await connect()];
    server.subscribe(topic, () => undefined);
    await server.flush();
    const statuses: string[] = [];
    bus.onStatus(({ type }) => statuses.push(type));
    const own = bus.subscribe(topic, () => undefined);
    const request = bus.request(topic, bytes(''), { timeoutMs: TIMEOUT_MS });
    const rejected = t.throwsAsync(request, { instanceOf: BusClosedError });
    await Promise.all([bus.close(), bus.close()]);
    await rejected;
    own.unsubscribe();
    const closed = { instanceOf: BusClosedError };
    t.throws(() => bus.publish(topic, bytes('')), closed);
    t.throws(() => bus.subscribe(topic, () => undefined), closed);
    await t.throwsAsync(bus.request(topic, bytes(''), { timeoutMs: TIMEOUT_MS }), closed);
    await t.throwsAsync(bus.flush(), closed);
    await bus.drain();
    t.deepEqual(statuses, ['closed']);
  });
}

/** Resolves when `count` messages have come. */
export function collect(bus: Bus, subject: string, count: number): Promise<readonly BusMessage[]> {
  const messages: BusMessage[] = [];
  const { promise, resolve } = Promise.withResolvers<readonly BusMessage[]>();
  bus.subscribe(subject, (message) => {
    messages.push(message);
    if (messages.length === count) resolve(messages);
  });
  return promise;
}

/** Bytes that betray a shift, a gap or a mix; the first four are `number`. */
export function pattern(length: number, number = 0): Uint8Array {
  const data = Buffer.alloc(length);
  for (let i = 0; i < length; i += 1) data[i] = (i * 31 + (i >> 8)) & 0xff;
  if (length >= 4) data.writeUInt32LE(number, 0);
  return data;
}
