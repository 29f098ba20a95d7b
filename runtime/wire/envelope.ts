import * as v from 'valibot';
import type { CallMessage, ItemMessage, ReplyMessage } from './call-messages.ts';
import type { ChunkReference } from './chunks.ts';
import { align, decodeFrame, encodeFrame } from './frame.ts';
import {
  readUint16,
  readUint32,
  readUint64,
  writeUint16,
  writeUint32,
  writeUint64,
} from './little-endian.ts';
import { readShortText } from './short-text.ts';
import { type WireError, wireErrorSchema } from './wire-error.ts';
import { chunkReferenceSchema, count } from './wire-fields.ts';

/**
 * Calls, replies and items travel as an envelope of fixed fields with the frame of their value behind
 * it, and are checked by hand: field names and a schema's run cost more than the rest of a small call.
 * Little-endian:
 *
 *  0  'C' 'D' version kind
 *  4  u32 bytes of the envelope, a multiple of 8
 *  8  u64 seq
 * 16  u64 floor of a call, index of an item, else 0
 * 24  u32 timeoutMs of a call, else 0
 * 28  u16 bytes of each name: `to`, `from`, `method` of a call; `of`, none, none of the others
 * 34  u8 1: the frame's value is `[rare fields, value]`; 0: it is the value. Then a zero
 * 36  the names in UTF-8, then zeros up to a multiple of 8
 */
export type EnvelopedMessage = CallMessage | ReplyMessage | ItemMessage;

const VERSION = 2;
const KINDS = { call: 2, reply: 3, item: 4 } as const;
const LENGTHS_AT = 28;
const RARE_AT = 34;
const NAMES_AT = 36;
const NAME_BYTES_MAX = 0xffff;

/** @throws TypeError or RangeError when the value can't be sent. */
export function encodeEnveloped(message: EnvelopedMessage): Uint8Array {
  const { kind, seq, value } = message;
  const call = kind === 'call';
  const to = call ? message.to : message.of;
  const from = call ? message.from : '';
  const method = call ? message.method : '';
  const toBytes = nameBytes(to);
  const fromBytes = nameBytes(from);
  const methodBytes = nameBytes(method);
  const envelopeBytes = align(NAMES_AT + toBytes + fromBytes + methodBytes);
  const rare = rareFields(message);
  const bytes = encodeFrame(rare === undefined ? value : [rare, value], envelopeBytes);
  bytes[0] = 0x43;
  bytes[1] = 0x44;
  bytes[2] = VERSION;
  bytes[3] = KINDS[kind];
  writeUint32(bytes, 4, envelopeBytes);
  writeUint64(bytes, 8, seq);
  writeUint64(bytes, 16, call ? message.floor : kind === 'item' ? message.index : 0);
  writeUint32(bytes, 24, call ? message.timeoutMs : 0);
  writeUint16(bytes, LENGTHS_AT, toBytes);
  writeUint16(bytes, LENGTHS_AT + 2, fromBytes);
  writeUint16(bytes, LENGTHS_AT + 4, methodBytes);
  writeUint16(bytes, RARE_AT, rare === undefined ? 0 : 1);
  writeName(bytes, NAMES_AT, to, toBytes);
  writeName(bytes, NAMES_AT + toBytes, from, fromBytes);
  writeName(bytes, NAMES_AT + toBytes + fromBytes, method, methodBytes);
  for (let at = NAMES_AT + toBytes + fromBytes + methodBytes; at < envelopeBytes; at += 1) {
    bytes[at] = 0;
  }
  return bytes;
}

/** Whether these bytes are for `decodeEnveloped`. */
export function isEnveloped(bytes: Uint8Array): boolean {
  return bytes[2] === VERSION && bytes[0] === 0x43 && bytes[1] === 0x44;
}

/** Undefined for what is none of these messages. @throws DamagedDataError */
export function decodeEnveloped(bytes: Uint8Array): EnvelopedMessage | undefined {
  if (bytes.length < NAMES_AT) return undefined;
  const envelopeBytes = readUint32(bytes, 4);
  const toEnd = NAMES_AT + readUint16(bytes, LENGTHS_AT);
  const fromEnd = toEnd + readUint16(bytes, LENGTHS_AT + 2);
  const namesEnd = fromEnd + readUint16(bytes, LENGTHS_AT + 4);
  if (envelopeBytes !== align(namesEnd) || envelopeBytes > bytes.length) return undefined;
  const seq = readUint64(bytes, 8);
  const place = readUint64(bytes, 16);
  if (seq > Number.MAX_SAFE_INTEGER || place > Number.MAX_SAFE_INTEGER) return undefined;
  const to = readName(bytes, NAMES_AT, toEnd);
  const content = decodeFrame(bytes, envelopeBytes);
  const plain = bytes[RARE_AT] === 0;
  switch (bytes[3]) {
    case KINDS.call: {
      const timeoutMs = readUint32(bytes, 24);
      if (timeoutMs === 0) return undefined;
      const from = readName(bytes, toEnd, fromEnd);
      const method = readName(bytes, fromEnd, namesEnd);
      const call = { kind: 'call', to, from, seq, floor: place, method, timeoutMs } as const;
      return plain ? { ...call, value: content } : withRare(call, content, rareOfCall);
    }
    case KINDS.reply: {
      const reply = { kind: 'reply', of: to, seq } as const;
      return plain ? { ...reply, value: content } : withRare(reply, content, rareOfReply);
    }
    case KINDS.item: {
      const item = { kind: 'item', of: to, seq, index: place } as const;
      return plain ? { ...item, value: content } : withRare(item, content, rareOfItem);
    }
    default:
      return undefined;
  }
}

const decoder = new TextDecoder();
const encoder = new TextEncoder();

function readName(bytes: Uint8Array, start: number, end: number): string {
  return readShortText(bytes, start, end) ?? decoder.decode(bytes.subarray(start, end));
}

function nameBytes(name: string): number {
  let bytes = name.length;
  for (let i = 0; i < name.length; i += 1) {
    if (name.charCodeAt(i) < 0x80) continue;
    bytes = encoder.encode(name).length;
    break;
  }
  if (bytes <= NAME_BYTES_MAX) return bytes;
  throw new RangeError(`a name of ${bytes} bytes can't be sent, only up to ${NAME_BYTES_MAX}`);
}

function writeName(target: Uint8Array, start: number, name: string, bytes: number): void {
  if (bytes !== name.length) {
    target.set(encoder.encode(name), start);
    return;
  }
  for (let i = 0; i < bytes; i += 1) target[start + i] = name.charCodeAt(i);
}

/** What most messages have none of. */
type RareFields = Readonly<Record<string, unknown>>;

function rareFields(message: EnvelopedMessage): RareFields | undefined {
  const { chunks } = message;
  switch (message.kind) {
    case 'call': {
      const { credit, key, trace } = message;
      const none = credit === undefined && key === undefined && trace === undefined;
      return none && chunks === undefined ? undefined : given({ credit, key, trace, chunks });
    }
    case 'reply': {
      const { error } = message;
      return error === undefined && chunks === undefined ? undefined : given({ error, chunks });
    }
    case 'item':
      return chunks === undefined ? undefined : { chunks };
  }
}

function given(fields: RareFields): RareFields {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

/** The message with the rare fields of the frame's value, which is checked here. */
function withRare<Message extends object, Rare extends object>(
  message: Message,
  content: unknown,
  schema: v.GenericSchema<unknown, Rare>,
): (Message & Rare & { readonly value: unknown }) | undefined {
  if (!Array.isArray(content) || content.length !== 2) return undefined;
  const rare = v.safeParse(schema, content[0]);
  return rare.success ? { ...message, value: content[1], ...rare.output } : undefined;
}

/** Foreign text that a tracer reads: little of it. */
const traceSchema = v.pipe(
  v.record(v.string(), v.pipe(v.string(), v.maxLength(8192))),
  v.maxEntries(8),
);

const rareOfItem = v.object({ chunks: v.exactOptional(chunkReferenceSchema) });
const rareOfReply: v.GenericSchema<
  unknown,
  { readonly chunks?: ChunkReference; readonly error?: WireError }
> = v.object({ ...rareOfItem.entries, error: v.exactOptional(wireErrorSchema) });
const rareOfCall = v.object({
  ...rareOfItem.entries,
  credit: v.exactOptional(count),
  key: v.exactOptional(v.string()),
  trace: v.exactOptional(traceSchema),
});
