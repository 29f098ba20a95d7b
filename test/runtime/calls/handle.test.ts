import { inspect } from 'node:util';
import test from 'ava';
import { DamagedDataError } from '../../../errors.ts';
import type { CallContext } from '../../../runtime/actor.ts';
import type { CallOptions } from '../../../runtime/calls/call-options.ts';
import {
  type ActorAddress,
  addressOf,
  createHandle,
  type Handle,
  packHandles,
  type RemoteStream,
  unpackHandles,
  withCallOptions,
} from '../../../runtime/calls/handle.ts';
import type { ReferenceKeeper } from '../../../runtime/objects/object-ref.ts';

interface Sample {
  readonly field: number;
  sync(a: number): string;
  later(a: number, context: CallContext): Promise<Uint8Array>;
  maybe(a?: number): number | undefined;
  many(...texts: string[]): void;
  stream(context: CallContext): AsyncGenerator<number>;
  checkpoint(): unknown;
  restore(state: number): void;
  drain(): Promise<void>;
}

type Equal<A, B> =
  (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
type Remote = Handle<Sample>;
/** Each line fails to compile when the type of a handle changes. */
const types: readonly true[] = [
  true satisfies Equal<keyof Remote, 'sync' | 'later' | 'maybe' | 'many' | 'stream'>,
  true satisfies Equal<Remote['sync'], (a: number) => Promise<string>>,
  true satisfies Equal<Remote['later'], (a: number) => Promise<Uint8Array>>,
  true satisfies Equal<Remote['many'], (...texts: string[]) => Promise<void>>,
  true satisfies Equal<Remote['stream'], () => RemoteStream<number>>,
  true satisfies Equal<Parameters<Remote['maybe']>, [number | undefined]>,
  true satisfies Equal<ReturnType<Remote['maybe']>, Promise<number | undefined>>,
];

const address: ActorAddress = {
  name: 'sample',
  type: 'test/sample',
  owner: 'n1',
  methods: { sync: 'call', stream: 'stream' },
};

/** For tests without object references. */
const idleKeeper: ReferenceKeeper = {
  depart: () => '',
  arrive: () => {
    throw new Error('no reference was expected');
  },
  retain: () => () => {},
};

function createPath() {
  const seen: { method: string; args: readonly unknown[]; options: CallOptions }[] = [];
  const note = (_address: ActorAddress, method: string, args: readonly unknown[], options = {}) => {
    seen.push({ method, args, options });
  };
  const path = {
    keeper: idleKeeper,
    call: async (...all: Parameters<typeof note>) => note(...all),
    async *stream(...all: Parameters<typeof note>) {
      yield note(...all);
    },
    openArgument: () => {
      throw new Error('no argument of these tests is a stream');
    },
    watch: () => () => {},
  };
  return { path, seen };
}

test('the types of a handle are those of its actor, as seen from afar', (t) => {
  t.is(types.length, 7);
});

test('a handle can be awaited, printed and compared without calling its actor', async (t) => {
  const { path, seen } = createPath();
  const handle = createHandle<Sample>(address, path);
  t.is(await (async () => handle)(), handle);
  t.notThrows(() => inspect(handle));
  t.is(JSON.stringify({ handle }), '{"handle":{}}');
  t.deepEqual(seen, []);
});

test('call options add up, the later one wins', async (t) => {
  const { path, seen } = createPath();
  const handle = createHandle<Sample>(address, path);
  const { signal } = new AbortController();
  const patient = withCallOptions(withCallOptions(handle, { timeoutMs: 1, signal }), {
    timeoutMs: 2,
  });
  await patient.sync(7);
  t.deepEqual(seen, [{ method: 'sync', args: [7], options: { timeoutMs: 2, signal } }]);
  t.throws(() => withCallOptions({}, {}), { instanceOf: TypeError });
});

test('handles inside values travel as plain data and can be called again', async (t) => {
  const { path, seen } = createPath();
  const handle = createHandle<Sample>(address, path);
  const floats = new Float32Array(2);
  const packed = packHandles({ deep: [{ handle }], floats });
  const copy = JSON.parse(JSON.stringify({ ...(packed as object), floats: [] }));
  const unpacked = unpackHandles(copy, path) as { deep: [{ handle: Handle<Sample> }] };
  t.deepEqual(addressOf(unpacked.deep[0].handle), address);
  await unpacked.deep[0].handle.sync(1);
  t.is(seen.length, 1);
});

test('a value without handles is not copied', (t) => {
  const value = { list: [1, { text: 'x' }], floats: new Float32Array(1) };
  t.is(packHandles(value), value);
  t.is(unpackHandles(value, createPath().path), value);
});

test('a forged handle is refused', (t) => {
  const forged = { '$codistill.handle': { name: 'x', methods: { run: 'anything' } } };
  t.throws(() => unpackHandles([forged], createPath().path), { instanceOf: DamagedDataError });
});
