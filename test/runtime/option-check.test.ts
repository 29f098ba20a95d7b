import { inspect } from 'node:util';
import test from 'ava';
import {
  ActorPool,
  type CallOptions,
  createQueue,
  createSystem,
  defineActor,
  type System,
  wait,
  withCallOptions,
} from '../../runtime/index.ts';

type Case = readonly [options: unknown, kind: typeof TypeError | typeof RangeError, text: RegExp];

const echo = defineActor({
  type: 'echo',
  module: import.meta.url,
  methods: { say: 'idempotent' },
  create: (_context, _options: unknown) => ({ say: (value: unknown) => value }),
});

let system: System;
test.before(async () => {
  system = await createSystem({ bus: 'memory' });
});
test.after.always(() => system?.close());

const callCases: readonly Case[] = [
  [5, TypeError, /^call options must be an object of timeoutMs, signal, .*; got 5$/],
  [null, TypeError, /got null$/],
  [{ timeout: 1 }, TypeError, /^there is no call option timeout; valid are: timeoutMs, /],
  [{ signal: 5 }, TypeError, /^call option signal must be an AbortSignal; got 5$/],
  [
    { signal: new AbortController() },
    TypeError,
    /must be an AbortSignal; got an instance of AbortController$/,
  ],
  [{ timeoutMs: '5' }, TypeError, /timeoutMs must be a number over 0, at most 2147483647; got '5'/],
  [{ timeoutMs: 0 }, RangeError, /got 0$/],
  [{ timeoutMs: Number.NaN }, RangeError, /got NaN$/],
  [{ timeoutMs: Number.POSITIVE_INFINITY }, RangeError, /got Infinity$/],
  [{ timeoutMs: 5n }, TypeError, /got 5n$/],
  [{ streamItemsMax: 1.5 }, RangeError, /must be an integer from 1 to 4096; got 1.5$/],
  [{ idempotencyKey: 5 }, TypeError, /idempotencyKey must be a string of 1 to 256 characters; got/],
  [{ idempotencyKey: '' }, RangeError, /got ''$/],
  [{ retry: 3 }, TypeError, /retry must be an object of attempts, backoffMs and errors; got 3$/],
  [retry({ times: 3 }), TypeError, /^there is no retry option times; valid are: attempts, /],
  [retry({ attempts: 1 }), RangeError, /attempts must be an integer from 2 to 100; got 1$/],
  [retry({ attempts: undefined }), TypeError, /attempts must be .*; got undefined$/],
  [retry({ backoffMs: '1' }), TypeError, /backoffMs must be a number from 0 to 10000; got '1'$/],
  [retry({ errors: [] }), TypeError, /errors must be a list, not empty, of the codes or classes/],
  [retry({ errors: [5] }), TypeError, /got a list of 1$/],
  [retry({ errors: [() => {}] }), TypeError, /errors must be a list/],
];

function retry(fields: object): object {
  return { retry: { attempts: 2, backoffMs: 1, errors: ['E', RangeError], ...fields } };
}

for (const [options, instanceOf, message] of callCases) {
  test(`calls refuse ${title(options)}, as ${message}`, async (t) => {
    const handle = await system.spawn(echo, {});
    t.throws(() => withCallOptions(handle, options as CallOptions), { instanceOf, message });
  });
}

test('calls take what is allowed', async (t) => {
  const handle = await system.spawn(echo, {});
  const { signal } = new AbortController();
  const options = {
    timeoutMs: 5_000,
    signal,
    streamItemsMax: 1,
    idempotencyKey: 'k',
    ...retry({}),
  };
  t.is(await withCallOptions(handle, options).say(7), 7);
});

const manyLabels = (count: number): object =>
  Object.fromEntries(Array.from({ length: count }, (_, index) => [`l${index}`, '']));

const spawnCases: readonly Case[] = [
  [5, TypeError, /^spawn options must be an object of name, .*; got 5$/],
  [null, TypeError, /got null$/],
  [
    { namespace: 'b' },
    TypeError,
    /no spawn option namespace; .*: createSystem\(\{ namespace \}\)$/,
  ],
  [[], TypeError, /got a list of 0$/],
  [{ placement: null }, TypeError, /placement must be 'pack', 'spread' or an object of strategy, /],
  [{ placement: 5 }, TypeError, /got 5$/],
  [
    { placement: { strategy: 'x' } },
    TypeError,
    /^placement rule strategy must be 'pack' or 'spread'/,
  ],
  [{ placement: { nodeId: 5 } }, TypeError, /^placement rule nodeId must be a string; got 5$/],
  [
    { placement: { beside: {} } },
    TypeError,
    /beside must be an actor handle; got an object of nothing$/,
  ],
  [{ placement: { requiredLabels: { a: 1 } } }, TypeError, /requiredLabels.a must be .*; got 1$/],
  [
    { restartBackoffMs: '100' },
    TypeError,
    /restartBackoffMs must be a number over 0, .*; got '100'/,
  ],
  [{ restartBackoffMs: 60_001 }, RangeError, /at most 60000; got 60001$/],
  [{ maxRestarts: -1 }, RangeError, /must be an integer from 0 to 1000000; got -1$/],
  [
    { placement: { apartFromLabels: 'role=x' } },
    TypeError,
    /apartFromLabels must be an object of names with strings; got 'role=x'$/,
  ],
  [{ labels: ['role'] }, TypeError, /labels must be an object of names with strings; got a list/],
  [{ labels: { role: 5 } }, TypeError, /labels.role must be a string of 0 to 256 .*; got 5$/],
  [{ labels: { role: 'x'.repeat(257) } }, RangeError, /labels.role must be a string of 0 to 256/],
  [{ labels: manyLabels(65) }, RangeError, /labels must be at most 64 names; got an object of/],
  [{ niceness: '5' }, TypeError, /must be an integer from -20 to 19; got '5'$/],
  [{ getIfExists: 'yes' }, TypeError, /getIfExists must be true or false; got 'yes'$/],
  [{ resume: 'yes' }, TypeError, /resume must be true or false; got 'yes'$/],
  [{ lifetime: 'long' }, TypeError, /lifetime must be 'owned' or 'detached'; got 'long'$/],
  [{ isolation: null }, TypeError, /isolation must be 'process' or 'inline'; got null$/],
  [{ name: 5 }, TypeError, /name must be a string; got 5$/],
  [{ name: '' }, RangeError, /1 to 128 characters/],
  [{ resources: null }, TypeError, /resources must be an object of cpu, gpu, .*; got null$/],
  [{ resources: { cpu: '1' } }, TypeError, /^resource cpu must be a number from 0 up; got '1'$/],
  [{ resources: { custom: null } }, TypeError, /^resource custom must be an object of names/],
  [{ resources: { custom: { disk: -1 } } }, RangeError, /^resource custom.disk must be/],
  [{ environment: 'A=1' }, TypeError, /environment must be an object of strings/],
  [{ environment: { A: 5 } }, TypeError, /environment.A must be strings? .*; got 5$/],
  [
    { environment: { 'A=B': '1' } },
    RangeError,
    /environment.A=B must be .*without NUL and '='; got/,
  ],
  [{ environment: { A: 'a\0b' } }, RangeError, /environment.A must be .*; got 'a\\x00b'$/],
];

for (const [options, instanceOf, message] of spawnCases) {
  test(`spawning refuses ${title(options)}, as ${message}`, async (t) => {
    const spawned = system.spawn(echo, {}, options as object);
    await t.throwsAsync(spawned, { instanceOf, message });
  });
}

test('spawn and get refuse what is no actor definition', async (t) => {
  const message = /must be what defineActor returns/;
  for (const wrong of [{}, undefined, null, 'echo'] as unknown[]) {
    await t.throwsAsync(system.spawn(wrong as typeof echo, undefined), {
      instanceOf: TypeError,
      message,
    });
    await t.throwsAsync(system.get(wrong as typeof echo, 'x'), { instanceOf: TypeError, message });
  }
});

test('an actor spawns nothing that is no actor definition', async (t) => {
  const parent = defineActor({
    type: 'parent',
    module: import.meta.url,
    methods: { beget: 'call' },
    create: (context, _options: object) => ({
      beget: async () => void (await context.spawn({} as typeof echo, {})),
    }),
  });
  const handle = await system.spawn(parent, {});
  await t.throwsAsync(handle.beget(), { message: /must be what defineActor returns/ });
});

test('a spawn option that is undefined is as one that is not given', async (t) => {
  const options: object = { name: undefined, maxRestarts: undefined, resources: undefined };
  const handle = await system.spawn(echo, {}, options);
  t.is(await handle.say(1), 1);
});

const nats = { servers: 'nats://127.0.0.1:1', timeoutMs: 1 };
const systemCases: readonly Case[] = [
  [undefined, TypeError, /^system options must be an object of bus, namespace, .*; got undefined$/],
  [{}, TypeError, /^system option bus must be 'memory', 'local', .*; got undefined$/],
  [{ bus: 'redis' }, TypeError, /system option bus must be 'memory', 'local', .*; got 'redis'$/],
  [{ bus: nats }, TypeError, /got an object of servers, timeoutMs$/],
  [{ bus: 'nats://me:secret@host' }, TypeError, /got 'nats:\/\/host'$/],
  [
    { bus: { nats: 5 } },
    TypeError,
    /nats must be an object of servers, timeoutMs and others; got 5/,
  ],
  [
    { bus: { nats: { ...nats, server: 'x' } } },
    TypeError,
    /^there is no nats option server; valid/,
  ],
  [
    { bus: { nats: { servers: 'x' } } },
    TypeError,
    /nats option timeoutMs must be .*; got undefined/,
  ],
  [{ bus: { nats: { ...nats, password: 1234 } } }, TypeError, /password must be .*; got a number$/],
  [
    { bus: { nats: { ...nats, tls: { cert: 'x' } } } },
    TypeError,
    /no tls option cert; valid are: ca/,
  ],
  [{ bus: { connected: 5 } }, TypeError, /connected must be a Bus; got 5$/],
  [
    { bus: 'memory', nodename: 'x' },
    TypeError,
    /^there is no system option nodename; valid are: bus/,
  ],
  [{ bus: 'memory', labels: { a: 1 } }, TypeError, /labels.a must be a string; got 1$/],
  [{ bus: 'memory', modules: 'x' }, TypeError, /modules must be a list of strings; got 'x'$/],
  [{ bus: 'memory', actors: [{}] }, TypeError, /actors.0 must be what defineActor returns; got/],
  [{ bus: 'memory', log: 'x' }, TypeError, /log must be a function; got 'x'$/],
  [{ bus: 'memory', warmProcesses: -1 }, RangeError, /warmProcesses must be an integer from 0/],
  [
    { bus: 'memory', objects: { memoryBytesMax: 0.5 } },
    RangeError,
    /^objects option memoryBytesMax/,
  ],
  [
    { bus: 'memory', resources: { gpus: 1 } },
    TypeError,
    /no resource gpus; .*custom: \{ gpus: 1 \}/,
  ],
];

for (const [options, instanceOf, message] of systemCases) {
  test(`a system refuses ${title(options)}, as ${message}`, async (t) => {
    await t.throwsAsync(createSystem(options as never), { instanceOf, message });
  });
}

const queueCases: readonly Case[] = [
  [{}, TypeError, /^queue option itemsMax must be an integer from 1 to 1000000; got undefined$/],
  [{ itemsMax: 0 }, RangeError, /got 0$/],
  [
    { itemsMax: 1, size: 2 },
    TypeError,
    /^there is no queue option size; valid are: itemsMax, name/,
  ],
  [{ itemsMax: 1, name: 5 }, TypeError, /^queue option name must be a string; got 5$/],
];

for (const [options, instanceOf, message] of queueCases) {
  test(`a queue refuses ${title(options)}, as ${message}`, async (t) => {
    await t.throwsAsync(createQueue(system, options as never), { instanceOf, message });
  });
}

const poolCases: readonly Case[] = [
  [null, TypeError, /^pool options must be an object of tasksPerActor, waitingMax, .*; got null$/],
  [{ tasks: 2 }, TypeError, /^there is no pool option tasks; valid are: tasksPerActor, /],
  [{ tasksPerActor: 0 }, RangeError, /must be an integer from 1 to 1000000; got 0$/],
  [{ waitingMax: '5' }, TypeError, /waitingMax must be .*; got '5'$/],
  [{ replace: 5 }, TypeError, /replace must be a function; got 5$/],
];

for (const [options, instanceOf, message] of poolCases) {
  test(`a pool refuses ${title(options)}, as ${message}`, (t) => {
    t.throws(() => new ActorPool([], options as object), { instanceOf, message });
  });
}

const waitCases: readonly Case[] = [
  [5, TypeError, /^wait options must be an object of count, timeoutMs, clock; got 5$/],
  [{ timeout: 5 }, TypeError, /^there is no wait option timeout; valid are: count, /],
  [{ count: 2 }, RangeError, /count must be an integer from 0 to 1; got 2$/],
  [{ timeoutMs: -1 }, RangeError, /timeoutMs must be a number from 0 to 2147483647; got -1$/],
];

for (const [options, instanceOf, message] of waitCases) {
  test(`waiting refuses ${title(options)}, as ${message}`, async (t) => {
    await t.throwsAsync(wait([Promise.resolve()], options as object), { instanceOf, message });
  });
}

test('a system refuses names that are none, and nodes that are not there', async (t) => {
  const get = (name: unknown) => system.get(echo, name as string);
  await t.throwsAsync(get(undefined), { instanceOf: TypeError, message: /name .* got undefined$/ });
  await t.throwsAsync(get(''), { instanceOf: RangeError, message: /1 to 128 characters, got 0$/ });
  await t.throwsAsync(get('a/b/c'), { instanceOf: RangeError, message: /NAME or SCOPE\/NAME/ });
  await t.throwsAsync(system.drainNode('nobody', { timeoutMs: 5_000 }), {
    code: 'NO_RESPONDER',
    message: 'there is no node nobody in namespace default',
  });
});

test('a system refuses deadlines that are none', async (t) => {
  const wrong = { timeoutMs: -5 };
  const expected = {
    instanceOf: RangeError,
    message: /timeoutMs must be a number over 0, .*got -5$/,
  };
  const handle = await system.spawn(echo, {});
  await t.throwsAsync(system.stop(handle, wrong), expected);
  await t.throwsAsync(system.drain(wrong), expected);
  await t.throwsAsync(system.drainNode(system.nodeId, wrong), expected);
  await t.throwsAsync(system.waitForNodes(1, wrong), expected);
});

test('a cyclic value is refused by its place, wherever it is sent', async (t) => {
  const next: { previous?: unknown; again?: unknown } = {};
  const cycle = { text: 'x', next };
  Object.assign(next, { previous: cycle, again: cycle });
  const handle = await system.spawn(echo, {});
  const about = (place: string) => ({
    instanceOf: TypeError,
    message: new RegExp(
      `^The value at ${place}\\.\\S+ is the top of a nesting of .* or of a cycle`,
    ),
  });
  await t.throwsAsync(handle.say(cycle), about('0.next.previous'));
  await t.throwsAsync(handle.say([1, cycle]), about('0.1.next'));
  await t.throwsAsync(system.spawn(echo, cycle), about('next.previous'));
  await t.throwsAsync(system.put(cycle), about('next.previous'));
});

function title(options: unknown): string {
  return inspect(options, { depth: 2, breakLength: Number.POSITIVE_INFINITY });
}
