import * as v from 'valibot';
import { DamagedDataError } from '../../errors.ts';
import {
  type ObjectAddress,
  type TravellingAddress,
  travellingEntries,
} from '../wire/object-messages.ts';

/**
 * A frame of up to so many bytes, of a value of 4 KB mostly, goes along with its reference, whose messages
 * cost as much.
 */
export const INLINE_BYTES_MAX: number = (4 << 10) + 256;

declare const valueType: unique symbol;

/**
 * Names a value that was put into the object store of a node, and keeps it there. Small; travels
 * in arguments, options, results and items as handles do. Whoever has one can `get` the value.
 */
export interface ObjectRef<out Value> extends Disposable {
  readonly [valueType]?: Value;
  readonly id: string;
  /** The node that holds the value. */
  readonly node: string;
  /** Of the value's frame. */
  readonly byteLength: number;
  /**
   * This reference is needed no more; the value goes with the last one. What is never released is
   * released when it is collected as garbage, or its actor or system ends. Idempotent.
   */
  release(): void;
  /**
   * Lets the message that takes this reference along release it here, and returns it:
   * `return (await context.put(value)).move()`. Without it an actor keeps what it returned until
   * its garbage is collected.
   */
  move(): ObjectRef<Value>;
}

/** What a reference counts with; the runtime's ObjectTable. */
export interface ReferenceKeeper {
  /** A message with a reference sets out: the object stays until it arrives, or `forMs` passed. */
  depart(address: ObjectAddress, forMs: number): string;
  /** It arrived, perhaps with the frame of its value: a reference for this process. */
  arrive(address: ObjectAddress, ticket: string, frame?: Uint8Array): ObjectRef<unknown>;
  /** Keeps objects beyond the references that a call was given, until the result is called. */
  retain(addresses: readonly ObjectAddress[]): () => void;
}

interface RefParts {
  readonly address: ObjectAddress;
  readonly keeper: ReferenceKeeper;
  /** Of a small value. */
  readonly frame: Uint8Array | undefined;
  released: boolean;
  moving: boolean;
}

export interface RefOptions {
  readonly address: ObjectAddress;
  readonly keeper: ReferenceKeeper;
  /** Of the value, where that is small enough to go along with the reference. */
  readonly frame?: Uint8Array | undefined;
  /** Runs once: at the release, or when the reference was collected as garbage. */
  onRelease(): void;
  /** Has the release as long as there is something to release. */
  readonly scope?: Set<() => void> | undefined;
}

const partsOf = new WeakMap<object, RefParts>();
const abandoned = new FinalizationRegistry<() => void>((release) => release());

export function createRef(options: RefOptions): ObjectRef<unknown> {
  const { address, keeper, frame, onRelease, scope } = options;
  const parts: RefParts = { address, keeper, frame, released: false, moving: false };
  const release = (): void => {
    if (parts.released) return;
    parts.released = true;
    abandoned.unregister(parts);
    scope?.delete(release);
    onRelease();
  };
  const ref = buildRef(parts, release);
  partsOf.set(ref, parts);
  abandoned.register(ref, release, parts);
  scope?.add(release);
  return ref;
}

/** Apart from `release`, which outlives the reference and would keep what it shares a scope with. */
function buildRef(parts: RefParts, release: () => void): ObjectRef<unknown> {
  const { id, node, byteLength } = parts.address;
  const ref: ObjectRef<unknown> = {
    id,
    node,
    byteLength,
    release,
    move() {
      parts.moving = true;
      return ref;
    },
    [Symbol.dispose]: release,
  };
  return Object.freeze(ref);
}

/**
 * What a reference refers to, and the frame of the value if the reference has it.
 * @throws TypeError for what is no reference, or was released.
 */
export function openRef(ref: ObjectRef<unknown>): {
  readonly address: ObjectAddress;
  readonly frame: Uint8Array | undefined;
} {
  const parts = partsOf.get(ref);
  if (parts === undefined) throw new TypeError('expected an object reference, as returned by put');
  return { address: livingAddress(parts), frame: parts.frame };
}

function livingAddress({ address, released }: RefParts): ObjectAddress {
  if (released) throw new TypeError(`the reference to object ${address.id} was released already`);
  return address;
}

const REF_KEY = '$codistill.object';

/** What a message may do with the references in it. */
export interface Departure {
  /** How long the message may take to be read, at most. */
  readonly forMs: number;
  /** Gets what the references that were found refer to. */
  readonly addresses?: { push(address: TravellingAddress): unknown };
}

/**
 * A reference as plain data; undefined for all else.
 * @throws TypeError for a released one, or where references can't go.
 */
export function packRef(object: object, departure: Departure | undefined): object | undefined {
  const parts = partsOf.get(object);
  if (parts === undefined) return undefined;
  if (departure === undefined) {
    throw new TypeError(
      `the reference to object ${parts.address.id} can't be kept in a checkpoint, which outlives ` +
        'whoever holds the object: save the value, or put it again after a restart',
    );
  }
  const address = livingAddress(parts);
  const ticket = parts.keeper.depart(address, departure.forMs);
  departure.addresses?.push({ ...address, ticket });
  if (parts.moving) (object as ObjectRef<unknown>).release();
  const { frame } = parts;
  return { [REF_KEY]: { ...address, ticket, ...(frame && { frame }) } };
}

/** The inverse of `packRef`. @throws DamagedDataError for a malformed one. */
export function unpackRef(object: object, keeper: ReferenceKeeper): object | undefined {
  if (!Object.hasOwn(object, REF_KEY)) return undefined;
  const parsed = v.safeParse(packedSchema, (object as Record<string, unknown>)[REF_KEY]);
  if (!parsed.success) throw new DamagedDataError('a message holds a malformed object reference');
  const { ticket, frame, ...address } = parsed.output;
  // Copied out of its message, which would stay as long as the reference.
  return keeper.arrive(address, ticket, frame && new Uint8Array(frame));
}

const packedSchema = v.object({
  ...travellingEntries,
  frame: v.exactOptional(
    v.pipe(
      v.instance(Uint8Array),
      v.check(({ length }) => length <= INLINE_BYTES_MAX),
    ),
  ),
});
