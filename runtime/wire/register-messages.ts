import * as v from 'valibot';
import { count } from './wire-fields.ts';

// Between the processes of one host and the one that holds the register in its memory.

/** From a process to the one that holds the register in its memory; `id` is the same in a repetition. */
export interface RegisterMessage {
  readonly kind: 'register';
  readonly id: string;
  readonly operation: 'get' | 'create' | 'update' | 'delete' | 'list';
  /** Of one entry, or the prefix of a list. */
  readonly key: string;
  readonly value?: unknown;
  /** The one that is expected. */
  readonly revision?: number;
}
/** `revision` of a write that happened, entries of a read. */
export interface RegisteredMessage {
  readonly kind: 'registered';
  readonly revision?: number;
  readonly entries: readonly RegisterEntryMessage[];
}
export interface RegisterEntryMessage {
  readonly key: string;
  readonly value?: unknown;
  readonly revision: number;
}
/** On the subject of changes: an entry as it is now, or that it was deleted. */
export interface RegisterChangeMessage extends RegisterEntryMessage {
  readonly kind: 'register-change';
  readonly deleted: boolean;
}

const registerEntry = { key: v.string(), value: v.exactOptional(v.unknown()), revision: count };

export const registerMessageSchemas = [
  v.object({
    kind: v.literal('register'),
    id: v.string(),
    operation: v.picklist(['get', 'create', 'update', 'delete', 'list']),
    key: v.string(),
    value: v.exactOptional(v.unknown()),
    revision: v.exactOptional(count),
  }),
  v.object({
    kind: v.literal('registered'),
    revision: v.exactOptional(count),
    entries: v.array(v.object(registerEntry)),
  }),
  v.object({ kind: v.literal('register-change'), ...registerEntry, deleted: v.boolean() }),
] as const;
