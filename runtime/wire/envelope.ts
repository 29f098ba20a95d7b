import * as v from 'valibot';
import type { CallMessage, ItemMessage, ReplyMessage } from './call-messages.ts';
import type { ChunkReference } from './chunks.ts';
import { align, asBuffer, decodeFrame, encodeFrame } from './frame.ts';
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
/** Of the names that are remembered as bytes. */
const NAMES_MAX = 4096;
const NAME_BYTES_KEPT = 256;

/** @throws TypeError or RangeError when the value can't be sent. */
export function encodeEnveloped(message: EnvelopedMessage): Uint8Array {
  const { kind, seq, value } = message;
  const call = kind === 'call';
  const to = call ? message.to : message.of;
  const from = call ? message.from : '';
  const method = call ? message.method : '';
  const toBytes = encodeName(to);
  const fromBytes = encodeName(from);
  const methodBytes = encodeName(method);
  const namesEnd = NAMES_AT + toBytes.length + fromBytes.length + methodBytes.length;
  const envelopeBytes = align(namesEnd);
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
  writeUint16(bytes, LENGTHS_AT, toBytes.length);
  writeUint16(bytes, LENGTHS_AT + 2, fromBytes.length);
  writeUint16(bytes, LENGTHS_AT + 4, methodBytes.length);
  writeUint16(bytes, RARE_AT, rare === undefined ? 0 : 1);
  copyName(bytes, NAMES_AT, toBytes);
  copyName(bytes, NAMES_AT + toBytes.length, fromBytes);
  copyName(bytes, NAMES_AT + toBytes.length + fromBytes.length, methodBytes);
  for (let at = namesEnd; at < envelopeBytes; at += 1) bytes[at] = 0;
  return bytes;
}

/** Whether these bytes are for `decodeEnveloped`. */
export function isEnveloped(bytes: Uint8Array): boolean {
  return bytes[2] === VERSION && bytes[0] === 0x43 && bytes[1] === 0x44;
}

/** Undefined for what is none of these messages. @throws DamagedDataError */
export function decodeEnveloped(received: Uint8Array): EnvelopedMessage | undefined {
  const bytes = asBuffer(received);
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
  const rare = bytes[RARE_AT] !== 0;
  if (rare && !(Array.isArray(content) && content.length === 2)) return undefined;
  const value: unknown = rare ? (content as unknown[])[1] : content;
  switch (bytes[3]) {
    case KINDS.call: {
      const from = readName(bytes, toEnd, fromEnd);
      const method = readName(bytes, fromEnd, namesEnd);
      const timeoutMs = readUint32(bytes, 24);
      if (timeoutMs === 0) return undefined;
      const call = { kind: 'call', to, from, seq, floor: place, method, timeoutMs, value } as const;
      return rare ? withRare(call, content, rareOfCall) : call;
    }
    case KINDS.reply: {
      const reply = { kind: 'reply', of: to, seq, value } as const;
      return rare ? withRare(reply, content, rareOfReply) : reply;
    }
    case KINDS.item: {
      const item = { kind: 'item', of: to, seq, index: place, value } as const;
      return rare ? withRare(item, content, rareOfItem) : item;
    }
    default:
      return undefined;
  }
}

const encoder = new TextEncoder();

function readName(bytes: Buffer, start: number, end: number): string {
  return readShortText(bytes, start, end) ?? bytes.toString('utf8', start, end);
}

/** The bytes of names that were sent lately: few are sent again and again. */
const encoded = new Map<string, Uint8Array>();

function encodeName(name: string): Uint8Array {
  const known = encoded.get(name);
  if (known !== undefined) return known;
  const bytes = encoder.encode(name);
  if (bytes.length > NAME_BYTES_MAX) {
    throw new RangeError(
      `a name of ${bytes.length} bytes can't be sent, up to ${NAME_BYTES_MAX} can`,
    );
  }
  if (bytes.length > NAME_BYTES_KEPT) return bytes;
  if (encoded.size >= NAMES_MAX) encoded.clear();
  encoded.set(name, bytes);
  return bytes;
}

/** A name is too short for a call into the engine. */
function copyName(target: Uint8Array, start: number, name: Uint8Array): void {
  for (let i = 0; i < name.length; i += 1) target[start + i] = name[i]!;
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

/** The message with the rare fields before the value, which are checked here. */
function withRare<Message extends object, Rare extends object>(
  message: Message,
  content: unknown,
  schema: v.GenericSchema<unknown, Rare>,
): (Message & Rare) | undefined {
  const rare = v.safeParse(schema, (content as readonly unknown[])[0]);
  return rare.success ? { ...message, ...rare.output } : undefined;
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
