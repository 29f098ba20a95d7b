import * as v from 'valibot';
import type { CallMessage, ItemMessage, ReplyMessage } from './call-messages.ts';
import type { ChunkReference } from './chunks.ts';
import { type WireError, wireErrorSchema } from './wire-error.ts';
import { chunkReferenceSchema } from './wire-fields.ts';

/**
 * Calls, replies and items travel as arrays and are checked by hand, everything else as objects
 * checked by their schema: field names and a schema's run cost more than the rest of a small call.
 * The first element tells which; `null` stands for an absent field, and the value comes last. Only the
 * trace of a call comes after it, and only if there is one.
 */
const CALL = 0;
const REPLY = 1;
const ITEM = 2;

export type CompactMessage = CallMessage | ReplyMessage | ItemMessage;

export function toCompact(message: CompactMessage): readonly unknown[] {
  const { value, chunks = null } = message;
  switch (message.kind) {
    case 'call': {
      const { to, from, seq, floor, method, timeoutMs, credit = null, key = null } = message;
      const fields = [CALL, to, from, seq, floor, method, timeoutMs, credit, key, chunks, value];
      return message.trace === undefined ? fields : [...fields, message.trace];
    }
    case 'reply':
      return [REPLY, message.of, message.seq, message.error ?? null, chunks, value];
    case 'item':
      return [ITEM, message.of, message.seq, message.index, chunks, value];
  }
}

/** The message of an array, or undefined if it is none. */
export function fromCompact(fields: readonly unknown[]): CompactMessage | undefined {
  switch (fields[0]) {
    case CALL:
      return readCall(fields);
    case REPLY:
      return readReply(fields);
    case ITEM:
      return readItem(fields);
    default:
      return undefined;
  }
}

function readCall(fields: readonly unknown[]): CallMessage | undefined {
  const [, to, from, seq, floor, method, timeoutMs, credit, key, chunks, value, trace] = fields;
  if (fields.length < 11 || fields.length > 12) return undefined;
  if (typeof to !== 'string' || typeof from !== 'string') return undefined;
  if (!isCount(seq) || !isCount(floor) || typeof method !== 'string') return undefined;
  if (typeof timeoutMs !== 'number' || !(timeoutMs > 0)) return undefined;
  if (credit !== null && !isCount(credit)) return undefined;
  if (key !== null && typeof key !== 'string') return undefined;
  if (!isReference(chunks) || !isTrace(trace)) return undefined;
  const call = { kind: 'call', to, from, seq, floor, method, timeoutMs, value } as const;
  if (credit === null && key === null && chunks === null && trace === undefined) return call;
  return {
    ...call,
    ...(credit !== null && { credit }),
    ...(key !== null && { key }),
    ...(chunks && { chunks }),
    ...(trace && { trace }),
  };
}

function readReply(fields: readonly unknown[]): ReplyMessage | undefined {
  const [, of, seq, error, chunks, value] = fields;
  if (fields.length !== 6 || typeof of !== 'string' || !isCount(seq)) return undefined;
  if (!isReference(chunks)) return undefined;
  const reply = { kind: 'reply', of, seq, value } as const;
  if (error !== null) return isWireError(error) ? { ...reply, error } : undefined;
  return chunks === null ? reply : { ...reply, chunks };
}

function readItem(fields: readonly unknown[]): ItemMessage | undefined {
  const [, of, seq, index, chunks, value] = fields;
  if (fields.length !== 6 || typeof of !== 'string' || !isCount(seq)) return undefined;
  if (!isCount(index) || !isReference(chunks)) return undefined;
  const item = { kind: 'item', of, seq, index, value } as const;
  return chunks === null ? item : { ...item, chunks };
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function isReference(value: unknown): value is ChunkReference | null {
  return value === null || v.is(chunkReferenceSchema, value);
}

function isTrace(value: unknown): value is CallMessage['trace'] {
  return value === undefined || v.is(traceSchema, value);
}

function isWireError(value: unknown): value is WireError {
  return v.is(wireErrorSchema, value);
}

/** Foreign text that a tracer reads: little of it. */
const traceSchema = v.pipe(
  v.record(v.string(), v.pipe(v.string(), v.maxLength(8192))),
  v.maxEntries(8),
);
