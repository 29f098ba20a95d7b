import * as v from 'valibot';
import { type WireError, wireErrorSchema } from './wire-error.ts';
import { type Carried, count } from './wire-fields.ts';

// From a caller to an incarnation `to`, on the actor's subject; credit and cancel also from whoever reads
// a stream that came as an argument, to that stream, in the inbox of the caller that has it.
// `from` is the caller's inbox.
// `seq` numbers the calls of one caller to one incarnation; all below `floor` are settled.

/**
 * `value` is the array of arguments. With `credit` the method is a stream, of so many items at first.
 * Calls of one method with one `key` act once.
 */
export interface CallMessage extends Carried {
  readonly kind: 'call';
  readonly to: string;
  readonly from: string;
  readonly seq: number;
  readonly floor: number;
  readonly method: string;
  readonly timeoutMs: number;
  readonly credit?: number;
  readonly key?: string;
  /** Headers of a distributed trace, as of W3C trace context. */
  readonly trace?: Readonly<Record<string, string>>;
}
/** The caller no longer wants call or stream `seq`. */
export interface CancelMessage {
  readonly kind: 'cancel';
  readonly to: string;
  readonly from: string;
  readonly seq: number;
}
/** Items below `received` arrived in order, those below `allowed` may be sent; also a sign of life. */
export interface CreditMessage {
  readonly kind: 'credit';
  readonly to: string;
  readonly from: string;
  readonly seq: number;
  readonly received: number;
  readonly allowed: number;
  /** Items from `received` on seem lost and are to be sent again. */
  readonly resend: boolean;
}
/** Asks which of the calls from `floor` up to, not including, `next` did not arrive. */
export interface ProbeMessage {
  readonly kind: 'probe';
  readonly to: string;
  readonly from: string;
  readonly floor: number;
  readonly next: number;
}

// From an incarnation to a caller's inbox.

export interface ReplyMessage extends Carried {
  readonly kind: 'reply';
  readonly of: string;
  readonly seq: number;
  readonly error?: WireError;
}
export interface ItemMessage extends Carried {
  readonly kind: 'item';
  readonly of: string;
  readonly seq: number;
  readonly index: number;
}
/** The stream has `index` items in all, or failed after so many. */
export interface EndMessage {
  readonly kind: 'end';
  readonly of: string;
  readonly seq: number;
  readonly index: number;
  readonly error?: WireError;
}
/** Answer to a probe: these calls are to be sent again, those are done and their answer is gone. */
export interface ProgressMessage {
  readonly kind: 'progress';
  readonly of: string;
  readonly missing: readonly number[];
  readonly forgotten: readonly number[];
}

const toActor = { to: v.string(), from: v.string() };
const toCaller = { of: v.string(), seq: count };
const error = v.exactOptional(wireErrorSchema);

export const callMessageSchemas = [
  v.object({ kind: v.literal('cancel'), ...toActor, seq: count }),
  v.object({
    kind: v.literal('credit'),
    ...toActor,
    seq: count,
    received: count,
    allowed: count,
    resend: v.boolean(),
  }),
  v.object({ kind: v.literal('probe'), ...toActor, floor: count, next: count }),
  v.object({ kind: v.literal('end'), ...toCaller, index: count, error }),
  v.object({
    kind: v.literal('progress'),
    of: v.string(),
    missing: v.array(count),
    forgotten: v.array(count),
  }),
] as const;
