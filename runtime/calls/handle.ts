import * as v from 'valibot';
import { DamagedDataError, UnknownMethodError } from '../../errors.ts';
import type { ActorLifecycle, CallContext, MethodKind } from '../actor.ts';
import { type Departure, packRef, type ReferenceKeeper, unpackRef } from '../objects/object-ref.ts';
import { actorAddressSchema } from '../wire/address.ts';
import { FRAME_DEPTH_MAX } from '../wire/frame-limits.ts';
import { type Key, tooDeep } from '../wire/message-pack-writer.ts';
import type { ReadOptions } from './argument-streams.ts';
import { type CallOptions, checkCallOptions } from './call-options.ts';
import type { StreamReader } from './stream-reader.ts';
import { type StreamReference, streamReferenceSchema } from './stream-reference.ts';
import type { ActorListener } from './watch.ts';

/**
 * An actor's methods as seen from anywhere: each call returns a promise, each async generator an
 * AsyncIterable that starts at its first `next()`. Handles may be passed as arguments, options and
 * results. All parameters are given explicitly, optional ones as `undefined`.
 */
export type Handle<Actor> = {
  readonly [Key in HandleKey<Actor>]: RemoteMethod<Actor[Key]>;
};

type HandleKey<Actor> = Exclude<
  {
    // biome-ignore lint/suspicious/noExplicitAny: any function type has to match here
    [Key in keyof Actor]: Actor[Key] extends (...args: any[]) => unknown ? Key : never;
  }[keyof Actor],
  keyof ActorLifecycle | symbol
>;

type RemoteMethod<Method> = Method extends (...args: infer Parameters) => infer Result
  ? (...args: Explicit<WithoutContext<Parameters>>) => RemoteResult<Result>
  : never;

/** The CallContext is the runtime's to give. */
export type WithoutContext<Parameters extends readonly unknown[]> = Parameters extends readonly [
  ...infer Rest,
  CallContext,
]
  ? Rest
  : Parameters extends readonly [...infer Rest, context?: CallContext]
    ? Rest
    : Parameters;

/** Optional parameters turn into `| undefined`: the number of arguments tells where a context goes. */
type Explicit<Parameters extends readonly unknown[]> = Parameters extends readonly []
  ? []
  : Parameters extends readonly [infer First, ...infer Rest]
    ? [First, ...Explicit<Rest>]
    : Parameters extends readonly [first?: infer First, ...rest: infer Rest]
      ? number extends Parameters['length']
        ? Parameters
        : [First | undefined, ...Explicit<Rest>]
      : Parameters;

/** In brackets, so that a union stays one promise and `never` stays a promise. */
type RemoteResult<Result> = [Result] extends [never]
  ? Promise<never>
  : [Result] extends [AsyncIterable<infer Item>]
    ? RemoteStream<Item>
    : Promise<Awaited<Result>>;

/** The items of a stream; leaving it early, by `return` or disposal, ends it at the actor. */
export interface RemoteStream<Item> extends AsyncIterableIterator<Item>, AsyncDisposable {}

/** All that is needed to reach an actor; what a handle is on the wire. */
export interface ActorAddress {
  readonly name: string;
  readonly type: string;
  /** The node whose supervisor knows where the actor lives and whether. */
  readonly owner: string;
  readonly methods: { readonly [method: string]: MethodKind };
}

/** What a handle calls through; the runtime's Caller. */
export interface CallPath {
  /** What object references count with that come in messages. */
  readonly keeper: ReferenceKeeper;
  call(
    address: ActorAddress,
    method: string,
    args: readonly unknown[],
    options: CallOptions,
  ): Promise<unknown>;
  stream(
    address: ActorAddress,
    method: string,
    args: readonly unknown[],
    options: CallOptions,
  ): AsyncIterable<unknown>;
  /** The reading end of an async iterable that came as an argument. */
  openArgument(reference: StreamReference, options: ReadOptions): StreamReader;
  /** Returns what ends it. */
  watch(address: ActorAddress, listener: ActorListener): () => void;
}

/**
 * What spawning an actor gives: disposing of it (`await using`) stops the actor. A handle that was
 * passed on in a message, or found by a name, is a plain `Handle`, whose end means nothing.
 */
export type OwnedHandle<Actor> = Handle<Actor> & AsyncDisposable;

interface HandleParts {
  readonly address: ActorAddress;
  readonly path: CallPath;
  readonly options: CallOptions;
  /** Stops the actor; only where this process spawned it. */
  readonly dispose: (() => Promise<void>) | undefined;
}

const absentKeys: ReadonlySet<string> = new Set([
  'then',
  'toJSON',
  ...Object.getOwnPropertyNames(Object.prototype),
]);
const partsOf = new WeakMap<object, HandleParts>();

export function createHandle<Actor>(
  address: ActorAddress,
  path: CallPath,
  options: CallOptions = {},
  dispose?: () => Promise<void>,
): Handle<Actor> {
  const methods = new Map<string, (...args: unknown[]) => unknown>();
  for (const [method, kind] of Object.entries(address.methods)) {
    methods.set(method, (...args) =>
      kind === 'stream'
        ? path.stream(address, method, args, options)
        : path.call(address, method, args, options),
    );
  }
  const handle = new Proxy(Object.create(null) as object, {
    get(_target, key) {
      // `then` must be absent, or awaiting a function that returns a handle would call the actor;
      // valueOf and the like, or looking at a handle in a debugger would.
      if (typeof key === 'symbol') return key === Symbol.asyncDispose ? dispose : undefined;
      const method = methods.get(key);
      if (method !== undefined || absentKeys.has(key)) return method;
      return () => Promise.reject(unknownMethod(address, key));
    },
    ownKeys: () => [],
    set: () => false,
  });
  partsOf.set(handle, { address, path, options, dispose });
  return handle as Handle<Actor>;
}

export function createOwnedHandle<Actor>(
  address: ActorAddress,
  path: CallPath,
  dispose: () => Promise<void>,
): OwnedHandle<Actor> {
  return createHandle<Actor>(address, path, {}, dispose) as OwnedHandle<Actor>;
}

/**
 * The same actor, called with other options; what is not given stays as it was.
 * @throws TypeError or RangeError naming an option that can't be used.
 */
export function withCallOptions<AnyHandle extends object>(
  handle: AnyHandle,
  options: CallOptions,
): AnyHandle {
  const parts = handleParts(handle);
  checkCallOptions(options);
  const { address, path, dispose } = parts;
  return createHandle(address, path, { ...parts.options, ...options }, dispose) as AnyHandle;
}

export function isHandle(value: unknown): boolean {
  return partsOf.has(value as object);
}

/** @throws TypeError for what is no handle. */
export function addressOf(handle: object): ActorAddress {
  return handleParts(handle).address;
}

/** What the handle calls through. @throws TypeError for what is no handle. */
export function pathOf(handle: object): CallPath {
  return handleParts(handle).path;
}

function handleParts(handle: object): HandleParts {
  const parts = partsOf.get(handle);
  if (parts === undefined) {
    throw new TypeError('expected an actor handle, as returned by system.spawn');
  }
  return parts;
}

export function unknownMethod(address: ActorAddress, method: string): UnknownMethodError {
  const declared = Object.keys(address.methods).join(', ') || 'none';
  return new UnknownMethodError(
    `actor ${address.name} of type ${address.type} declares no method "${method}"; ` +
      `declared are: ${declared}`,
  );
}

const HANDLE_KEY = '$codistill.handle';
const STREAM_KEY = '$codistill.stream';

/**
 * Handles and object references in `value` become plain data; without any, `value` itself is
 * returned.
 * @throws TypeError for a reference that was released, or any when there is no `departure`.
 */
export function packHandles(value: unknown, departure?: Departure): unknown {
  return replace(value, (object) => packHandle(object, departure));
}

function packHandle(object: object, departure: Departure | undefined): object | undefined {
  const parts = partsOf.get(object);
  return parts ? { [HANDLE_KEY]: parts.address } : packRef(object, departure);
}

/** The inverse of `packHandles`. @throws DamagedDataError for a malformed handle or reference. */
export function unpackHandles(value: unknown, path: CallPath): unknown {
  return replace(value, (object) => unpackHandle(object, path));
}

function unpackHandle(object: object, path: CallPath): object | undefined {
  if (!Object.hasOwn(object, HANDLE_KEY)) return unpackRef(object, path.keeper);
  const parsed = v.safeParse(actorAddressSchema, (object as Record<string, unknown>)[HANDLE_KEY]);
  if (!parsed.success) throw new DamagedDataError('a message holds a malformed actor handle');
  return createHandle(parsed.output, path);
}

/** Whether there is nothing to pack, which is quicker to see than to go through. */
export function holdNothing(args: readonly unknown[]): boolean {
  for (const arg of args) {
    if (typeof arg === 'object' && arg !== null && !ArrayBuffer.isView(arg)) return false;
  }
  return true;
}

/** As `packHandles`; async iterables become plain data as well, of what `offer` makes of them. */
export function packArguments(
  args: readonly unknown[],
  departure: Departure,
  offer: (items: AsyncIterable<unknown>) => StreamReference,
): readonly unknown[] {
  return replace(args, (object) => {
    return Symbol.asyncIterator in object
      ? { [STREAM_KEY]: offer(object as AsyncIterable<unknown>) }
      : packHandle(object, departure);
  }) as readonly unknown[];
}

/** The inverse of `packArguments`. @throws DamagedDataError */
export function unpackArguments(
  value: unknown,
  path: CallPath,
  open: (reference: StreamReference) => AsyncIterable<unknown>,
): unknown {
  return replace(value, (object) => {
    if (Object.hasOwn(object, STREAM_KEY)) {
      const found = (object as Record<string, unknown>)[STREAM_KEY];
      const parsed = v.safeParse(streamReferenceSchema, found);
      if (!parsed.success) throw new DamagedDataError('a message holds a malformed stream');
      return open(parsed.output);
    }
    return unpackHandle(object, path);
  });
}

/** Keys from the root to the object at hand, for messages. */
const path: Key[] = [];

/**
 * Copies only the way down to what `substitute` replaces.
 * @throws TypeError for a nesting deeper than a frame's codec takes, or a cycle.
 */
function replace(
  value: unknown,
  substitute: (object: object) => object | undefined,
  depth = 0,
): unknown {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return value;
  const substituted = substitute(value);
  if (substituted !== undefined) return substituted;
  if (depth > FRAME_DEPTH_MAX + 1) throw tooDeep(path.slice(0, depth));
  if (Array.isArray(value)) return replaceItems(value, substitute, depth);
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return value;
  const fields = value as Record<string, unknown>;
  let copy: Record<string, unknown> | undefined;
  for (const key in fields) {
    const field = fields[key];
    if (typeof field !== 'object' || field === null) continue;
    path[depth] = key;
    const replaced = replace(field, substitute, depth + 1);
    if (replaced === field) continue;
    copy ??= { ...fields };
    copy[key] = replaced;
  }
  return copy ?? value;
}

function replaceItems(
  items: readonly unknown[],
  substitute: (object: object) => object | undefined,
  depth: number,
): readonly unknown[] {
  let copy: unknown[] | undefined;
  for (let i = 0; i < items.length; i += 1) {
    const item = items[i];
    if (typeof item !== 'object' || item === null) continue;
    path[depth] = i;
    const replaced = replace(item, substitute, depth + 1);
    if (replaced === item) continue;
    copy ??= items.slice();
    copy[i] = replaced;
  }
  return copy ?? items;
}
