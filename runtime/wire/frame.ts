import { Packr } from 'msgpackr';
import { DamagedDataError } from '../../errors.ts';
import { checkMessagePack, FRAME_DEPTH_MAX, FRAME_ITEMS_MAX } from './frame-guard.ts';

/** A frame can't be longer; its lengths are 32-bit. */
export const FRAME_BYTES_MAX = 0xffff_ffff;
/** Everything but attachments. What is larger belongs into typed arrays. */
export const FRAME_HEADER_BYTES_MAX: number = 64 << 20;
export const FRAME_ATTACHMENTS_MAX: number = 1 << 16;

// 'C', 'D', version, flags. Version 1 is little-endian throughout, as typed arrays are in memory.
const MAGIC_PLAIN = 0x00_01_44_43;
const MAGIC_ATTACHED = 0x01_01_44_43;
const PREFIX_BYTES = 8;
// msgpackr's flag to leave room before the value, so that a plain frame is written in one piece.
const RESERVE_PREFIX = 2048 | PREFIX_BYTES;

const ARRAY_TYPES = [
  Uint8Array,
  Int8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
] as const;
const BUFFER_TYPE: number = ARRAY_TYPES.length;

type Key = string | number;
/** On the wire: type, bytes, where in the value it belongs. Offsets follow from the lengths. */
type AttachmentEntry = [type: number, byteLength: number, path: Key[]];
interface Collector {
  readonly entries: AttachmentEntry[];
  readonly parts: Uint8Array[];
  /** Keys from the root to the value at hand; only the first `depth` are valid. */
  readonly path: Key[];
  depth: number;
  items: number;
}

const packr = new Packr({ useRecords: false, structuredClone: false, int64AsType: 'bigint' });

/**
 * Encodes plain data: null, undefined, booleans, numbers, bigints of 64 bits, strings, arrays,
 * plain objects, typed arrays and ArrayBuffers, nested up to 64 deep. Typed arrays become
 * 8-byte-aligned attachments after the MessagePack header and are copied once, into the frame.
 *
 * Kept: NaN, infinities, `undefined` in objects and arrays. Changed: `-0` outside typed arrays to
 * 0, holes in arrays to `undefined`, lone surrogates to U+FFFD, a Buffer to a Uint8Array.
 *
 * @throws TypeError for anything else (a Date, a Map, an Error, a class instance, a function, a
 * cycle), naming its place; RangeError for what is too large.
 */
export function encodeFrame(value: unknown): Uint8Array {
  const collector: Collector = { entries: [], parts: [], path: [], depth: 0, items: 1 };
  const plain = detach(value, collector);
  const attached = collector.entries.length > 0;
  const header = packr.pack(attached ? [plain, collector.entries] : plain, RESERVE_PREFIX);
  if (header.length > FRAME_HEADER_BYTES_MAX) {
    throw new RangeError(
      `The value has ${header.length} bytes beside its typed arrays, over ` +
        `${FRAME_HEADER_BYTES_MAX}: put bulk into typed arrays.`,
    );
  }
  writeUint32(header, 0, attached ? MAGIC_ATTACHED : MAGIC_PLAIN);
  writeUint32(header, 4, header.length - PREFIX_BYTES);
  return attached ? joinAttachments(header, collector.parts) : header;
}

/**
 * The value of a frame. Typed arrays are views into `bytes` if that starts at a multiple of 8 in
 * its buffer, else into one copy; ArrayBuffers are always copies.
 *
 * @throws DamagedDataError
 */
export function decodeFrame(bytes: Uint8Array): unknown {
  if (bytes.length < PREFIX_BYTES) throw damaged(`has ${bytes.length} bytes, fewer than any frame`);
  const magic = readUint32(bytes, 0);
  const headerEnd = PREFIX_BYTES + readUint32(bytes, 4);
  if (magic !== MAGIC_PLAIN && magic !== MAGIC_ATTACHED) {
    throw damaged(`starts with ${magic.toString(16)}, no version that is known here`);
  }
  if (headerEnd > bytes.length || headerEnd > FRAME_HEADER_BYTES_MAX) {
    throw damaged(`has ${bytes.length} bytes, but its header claims ${headerEnd}`);
  }
  if (magic === MAGIC_PLAIN && headerEnd !== bytes.length) {
    throw damaged('has bytes after its header, but no attachments');
  }
  checkMessagePack(bytes, PREFIX_BYTES, headerEnd);
  const header = unpackHeader(bytes, headerEnd);
  return magic === MAGIC_PLAIN ? header : attach(header, bytes, align(headerEnd));
}

/** The value without its typed arrays: itself if it has none, else a copy of the way to each. */
function detach(value: unknown, collector: Collector): unknown {
  switch (typeof value) {
    case 'string':
    case 'number':
    case 'boolean':
    case 'undefined':
      return value;
    case 'bigint':
      if (BigInt.asIntN(64, value) === value || BigInt.asUintN(64, value) === value) return value;
      throw unsupported('a bigint of more than 64 bits', collector);
    case 'object':
      if (value === null) return null;
      if (Array.isArray(value)) return detachItems(value, collector);
      if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) {
        addAttachment(value, collector);
        return null;
      }
      return detachFields(value, collector);
    default:
      throw unsupported(`a ${typeof value}`, collector);
  }
}

function detachItems(items: readonly unknown[], collector: Collector): readonly unknown[] {
  const level = enter(items.length, collector);
  let copy: unknown[] | undefined;
  for (let i = 0; i < items.length; i += 1) {
    const item = items[i];
    collector.path[level] = i;
    const plain = detach(item, collector);
    if (typeof item === 'object' && plain !== item) {
      copy ??= items.slice();
      copy[i] = plain;
    }
  }
  collector.depth = level;
  return copy ?? items;
}

function detachFields(fields: object, collector: Collector): object {
  const prototype: unknown = Object.getPrototypeOf(fields);
  if (prototype !== Object.prototype && prototype !== null) {
    throw unsupported(`a ${fields.constructor?.name ?? 'class instance'}`, collector);
  }
  const keys = Object.keys(fields);
  const level = enter(keys.length * 2, collector);
  let copy: Record<string, unknown> | undefined;
  for (const key of keys) {
    const field = (fields as Record<string, unknown>)[key];
    collector.path[level] = key;
    if (key === '__proto__') throw unsupported('a field of this name', collector);
    const plain = detach(field, collector);
    if (typeof field === 'object' && plain !== field) {
      copy ??= { ...fields };
      copy[key] = plain;
    }
  }
  collector.depth = level;
  return copy ?? fields;
}

/** Goes one level down and returns the level above, whose key of the path the caller sets. */
function enter(items: number, collector: Collector): number {
  collector.items += items;
  if (collector.items > FRAME_ITEMS_MAX) {
    throw new RangeError(
      `The value has over ${FRAME_ITEMS_MAX} elements and fields: ` +
        'put long lists into typed arrays.',
    );
  }
  if (collector.depth >= FRAME_DEPTH_MAX) {
    throw unsupported(`a nesting of over ${FRAME_DEPTH_MAX} levels or a cycle`, collector);
  }
  collector.depth += 1;
  return collector.depth - 1;
}

function addAttachment(value: ArrayBufferView | ArrayBuffer, collector: Collector): void {
  const type = ArrayBuffer.isView(value)
    ? ARRAY_TYPES.findIndex((arrayType) => value instanceof arrayType)
    : BUFFER_TYPE;
  if (type < 0) throw unsupported(`a ${value.constructor.name}`, collector);
  if (collector.entries.length >= FRAME_ATTACHMENTS_MAX) {
    throw new RangeError(`The value has over ${FRAME_ATTACHMENTS_MAX} typed arrays.`);
  }
  const part = ArrayBuffer.isView(value)
    ? new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
    : new Uint8Array(value);
  // One entry has three items, a path and the path's keys; the decoder counts them too.
  collector.items += 4 + collector.depth;
  collector.entries.push([type, part.length, collector.path.slice(0, collector.depth)]);
  collector.parts.push(part);
}

function joinAttachments(header: Uint8Array, parts: readonly Uint8Array[]): Uint8Array {
  let end = header.length;
  for (const part of parts) end = align(end) + part.length;
  if (end > FRAME_BYTES_MAX) {
    throw new RangeError(`The value takes ${end} bytes; a frame holds ${FRAME_BYTES_MAX}.`);
  }
  // Buffer leaves out the zeroing, and its pool is 8-byte-aligned too.
  const frame: Uint8Array = Buffer.allocUnsafe(end);
  frame.set(header, 0);
  let position = header.length;
  for (const part of parts) {
    frame.fill(0, position, align(position));
    position = align(position);
    frame.set(part, position);
    position += part.length;
  }
  return frame;
}

/**
 * Small headers are copied here: msgpackr makes a DataView for each array that it reads, which costs
 * more than the copy, and keeps it on the array. Nothing of a header refers to these bytes afterwards.
 */
const scratch = new Uint8Array(512);

function unpackHeader(bytes: Uint8Array, headerEnd: number): unknown {
  try {
    const length = headerEnd - PREFIX_BYTES;
    if (length > scratch.length) return packr.unpack(bytes.subarray(PREFIX_BYTES, headerEnd));
    for (let i = 0; i < length; i += 1) scratch[i] = bytes[PREFIX_BYTES + i]!;
    return packr.unpack(scratch, length);
  } catch (cause) {
    throw new DamagedDataError("The frame's header is not valid MessagePack.", { cause });
  }
}

/** Puts each attachment where it belongs in the value, which the header left null. */
function attach(header: unknown, bytes: Uint8Array, start: number): unknown {
  if (!Array.isArray(header) || header.length !== 2 || !Array.isArray(header[1])) {
    throw damaged('announces attachments, but has no table of them');
  }
  const root: { value: unknown } = { value: header[0] };
  const entries: readonly unknown[] = header[1];
  if (entries.length === 0 || entries.length > FRAME_ATTACHMENTS_MAX) {
    throw damaged(`announces ${entries.length} attachments`);
  }
  if (start > bytes.length) throw damaged('ends before its attachments start');
  const aligned = bytes.byteOffset % 8 === 0;
  // `start` is a multiple of 8, so every attachment of a copy is aligned again.
  const section = aligned ? bytes : new Uint8Array(bytes);
  let position = start;
  for (const entry of entries) {
    if (!isEntry(entry)) throw damaged('has a malformed table of attachments');
    position = align(position);
    const [type, byteLength, path] = entry;
    if (position + byteLength > section.length) throw damaged('ends before its attachments do');
    place(root, path, viewAttachment(section, position, byteLength, type));
    position += byteLength;
  }
  if (position !== section.length) throw damaged('has bytes after its attachments');
  return root.value;
}

function isEntry(entry: unknown): entry is AttachmentEntry {
  if (!Array.isArray(entry) || entry.length !== 3) return false;
  const [type, byteLength, path] = entry as readonly unknown[];
  return (
    Number.isInteger(type) &&
    (type as number) >= 0 &&
    (type as number) <= BUFFER_TYPE &&
    Number.isSafeInteger(byteLength) &&
    (byteLength as number) >= 0 &&
    Array.isArray(path)
  );
}

function viewAttachment(section: Uint8Array, offset: number, byteLength: number, type: number) {
  const start = section.byteOffset + offset;
  const ArrayType = ARRAY_TYPES[type];
  // A Buffer's own `slice` would not copy, and its `buffer` be the whole pool.
  if (!ArrayType) return new Uint8Array(section.subarray(offset, offset + byteLength)).buffer;
  const length = byteLength / ArrayType.BYTES_PER_ELEMENT;
  if (!Number.isInteger(length)) throw damaged('has an attachment of a broken length');
  return new ArrayType(section.buffer as ArrayBuffer, start, length);
}

/** Only ever replaces a null that the value itself holds: a path can't reach a prototype. */
function place(root: { value: unknown }, path: readonly unknown[], attachment: unknown): void {
  let holder: object = root;
  let key: PropertyKey = 'value';
  for (const next of path) {
    const inner: unknown = (holder as Record<PropertyKey, unknown>)[key];
    const known = Array.isArray(inner) ? Number.isInteger(next) : typeof next === 'string';
    if (typeof inner !== 'object' || inner === null || ArrayBuffer.isView(inner) || !known) {
      throw damaged('has an attachment that belongs nowhere');
    }
    holder = inner;
    key = next as Key;
    if (!Object.hasOwn(holder, key)) throw damaged('has an attachment that belongs nowhere');
  }
  const fields = holder as Record<PropertyKey, unknown>;
  if (fields[key] !== null) throw damaged('has two values for one place');
  fields[key] = attachment;
}

function align(position: number): number {
  return Math.ceil(position / 8) * 8;
}

function readUint32(bytes: Uint8Array, at: number): number {
  const low = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16);
  return low + bytes[at + 3]! * 0x100_0000;
}

function writeUint32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
  bytes[at + 2] = value >>> 16;
  bytes[at + 3] = value >>> 24;
}

function unsupported(what: string, { path, depth }: Collector): TypeError {
  const place = depth === 0 ? 'The value' : `The value at ${path.slice(0, depth).join('.')}`;
  return new TypeError(
    `${place} is ${what}, which can't be sent. Send plain data: null, booleans, numbers, ` +
      'strings, arrays, plain objects, typed arrays, ArrayBuffers, bigints of 64 bits.',
  );
}

function damaged(what: string): DamagedDataError {
  return new DamagedDataError(
    `The frame ${what}. It was damaged on its way or written by another version of the protocol.`,
  );
}
