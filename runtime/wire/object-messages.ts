import * as v from 'valibot';
import { type Carried, carried, count } from './wire-fields.ts';

// About objects, to the store of a node.

/** What a reference is on the wire, and where its object is: chunk sizes and sums as over the bus. */
export interface ObjectAddress {
  readonly node: string;
  /** Begins with a word that is new for each life of the node. */
  readonly id: string;
  /** Of the value's frame. */
  readonly byteLength: number;
  readonly chunkBytes: number;
  readonly crc32: number;
}
/** A reference on its way: the ticket holds the object until whoever receives it does. */
export interface TravellingAddress extends ObjectAddress {
  readonly ticket: string;
}
/**
 * A process to its own node: keep this (`value`, a frame's bytes), and `holder` as its first holder;
 * hold what the references inside refer to, as long as it is kept.
 */
export interface ObjectPutMessage extends Carried {
  readonly kind: 'object-put';
  readonly holder: string;
  readonly byteLength: number;
  readonly inner?: readonly TravellingAddress[];
}
export interface ObjectStoredMessage {
  readonly kind: 'object-stored';
  readonly address: ObjectAddress;
}
/** A process to its own node: get the object from its node, once for all of this host. */
export interface ObjectFetchMessage {
  readonly kind: 'object-fetch';
  readonly address: ObjectAddress;
}
/** Answered by `done`, or by the error that tells why the object is gone. */
export interface ObjectCheckMessage {
  readonly kind: 'object-check';
  readonly id: string;
}
/** Answered by `done` where that is asked for: `holder` wants objects `hold` for `leaseMs` from now, and `release` no more. */
export interface ObjectLeasesMessage {
  readonly kind: 'object-leases';
  readonly holder: string;
  readonly leaseMs: number;
  readonly hold: readonly string[];
  readonly release: readonly string[];
}

/** Of foreign origin too: it sizes buffers. */
const addressEntries = {
  node: v.string(),
  id: v.pipe(v.string(), v.regex(/^\w{1,32}-\d{1,15}$/)),
  byteLength: count,
  chunkBytes: v.pipe(count, v.minValue(1)),
  crc32: count,
};
const objectAddressSchema: v.GenericSchema<unknown, ObjectAddress> = v.object(addressEntries);
export const travellingEntries = { ...addressEntries, ticket: v.string() };

export const objectMessageSchemas = [
  v.object({
    kind: v.literal('object-put'),
    holder: v.string(),
    byteLength: count,
    inner: v.exactOptional(v.array(v.object(travellingEntries))),
    ...carried,
  }),
  v.object({ kind: v.literal('object-stored'), address: objectAddressSchema }),
  v.object({
    kind: v.literal('object-fetch'),
    address: objectAddressSchema,
  }),
  v.object({ kind: v.literal('object-check'), id: v.string() }),
  v.object({
    kind: v.literal('object-leases'),
    holder: v.string(),
    leaseMs: v.pipe(v.number(), v.minValue(0)),
    hold: v.array(v.string()),
    release: v.array(v.string()),
  }),
] as const;
