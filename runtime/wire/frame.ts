import { DamagedDataError } from '../../errors.ts';
import { FRAME_ATTACHMENTS_MAX, FRAME_DEPTH_MAX, FRAME_HEADER_BYTES_MAX } from './frame-limits.ts';
import { readUint32, writeUint32 } from './little-endian.ts';
import { MessagePackReader } from './message-pack-reader.ts';
import { type Detached, type Key, MessagePackWriter, unsupported } from './message-pack-writer.ts';

/** A frame can't be longer; its lengths are 32-bit. */
const FRAME_BYTES_MAX = 0xffff_ffff;

// 'C', 'D', version, flags. Version 1 is little-endian throughout, as typed arrays are in memory.
const MAGIC_PLAIN = 0x00_01_44_43;
const MAGIC_ATTACHED = 0x01_01_44_43;
const PREFIX_BYTES = 8;

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

/** On the wire: type, bytes, where in the value it belongs. Offsets follow from the lengths. */
type AttachmentEntry = [type: number, byteLength: number, path: readonly Key[]];

/** One for all values, but absent while it writes: a getter of a value may encode a frame itself. */
let idleWriter: MessagePackWriter | undefined;
const reader = new MessagePackReader();

/**
 * Encodes plain data: null, undefined, booleans, numbers, bigints of 64 bits, strings, arrays,
 * plain objects, typed arrays and ArrayBuffers, nested up to 64 deep. Typed arrays become
 * 8-byte-aligned attachments after the MessagePack header and are copied once, into the frame.
 *
 * Kept: NaN, infinities, `undefined` in objects and arrays. Changed: `-0` outside typed arrays to
 * 0, holes in arrays to `undefined`, lone surrogates to U+FFFD, a Buffer to a Uint8Array.
 *
 * @param start how many bytes to leave before the frame for its caller to write, a multiple of 8
 * @throws TypeError for anything else (a Date, a Map, an Error, a class instance, a function, a
 * cycle), naming its place; RangeError for what is too large.
 */
export function encodeFrame(value: unknown, start = 0): Uint8Array {
  const writer = idleWriter ?? new MessagePackWriter();
  idleWriter = undefined;
  try {
    return encodeBy(writer, value, start);
  } finally {
    idleWriter = writer;
  }
}

/**
 * The value of the frame that begins at `start`, a multiple of 8, and ends where `bytes` do. Typed
 * arrays are views into `bytes` if these start at a multiple of 8 in their buffer, else into one copy;
 * ArrayBuffers are always copies.
 *
 * @throws DamagedDataError
 */
export function decodeFrame(bytes: Uint8Array, start = 0): unknown {
  const headerStart = start + PREFIX_BYTES;
  if (bytes.length < headerStart) throw damaged(`has ${bytes.length} bytes, fewer than any frame`);
  const magic = readUint32(bytes, start);
  const headerEnd = headerStart + readUint32(bytes, start + 4);
  if (magic !== MAGIC_PLAIN && magic !== MAGIC_ATTACHED) {
    throw damaged(`starts with ${magic.toString(16)}, no version that is known here`);
  }
  if (headerEnd > bytes.length || headerEnd - headerStart > FRAME_HEADER_BYTES_MAX) {
    throw damaged(`has ${bytes.length} bytes, but its header claims ${headerEnd}`);
  }
  if (magic === MAGIC_PLAIN && headerEnd !== bytes.length) {
    throw damaged('has bytes after its header, but no attachments');
  }
  const attached = magic === MAGIC_ATTACHED;
  // The list around the value is one more level.
  const depthMax = attached ? FRAME_DEPTH_MAX + 1 : FRAME_DEPTH_MAX;
  const header = reader.read(asBuffer(bytes), headerStart, headerEnd, depthMax);
  return attached ? attach(header, bytes, align(headerEnd)) : header;
}

function encodeBy(writer: MessagePackWriter, value: unknown, start: number): Uint8Array {
  // Of the value and the table of attachments; its one byte is left out when there are none.
  writer.startList(2);
  writer.write(value);
  const detached = writer.takeDetached();
  const attached = detached.length > 0;
  const parts = attached ? writeTable(writer, detached) : NO_PARTS;
  const from = attached ? 0 : 1;
  const headerBytes = PREFIX_BYTES + writer.length - from;
  const frame = allocate(start + headerBytes, parts);
  writeUint32(frame, start, attached ? MAGIC_ATTACHED : MAGIC_PLAIN);
  writeUint32(frame, start + 4, headerBytes - PREFIX_BYTES);
  writer.copyTo(frame, start + PREFIX_BYTES, from);
  if (attached) copyParts(frame, start + headerBytes, parts);
  return frame;
}

const NO_PARTS: readonly Uint8Array[] = [];

/** Adds the table of attachments to the header and returns their bytes. */
function writeTable(
  writer: MessagePackWriter,
  detached: readonly Detached[],
): readonly Uint8Array[] {
  if (detached.length > FRAME_ATTACHMENTS_MAX) {
    throw new RangeError(`The value has over ${FRAME_ATTACHMENTS_MAX} typed arrays.`);
  }
  const parts = new Array<Uint8Array>(detached.length);
  const table = new Array<AttachmentEntry>(detached.length);
  for (let i = 0; i < detached.length; i += 1) {
    const { array, path } = detached[i]!;
    const part = bytesOf(array);
    parts[i] = part;
    table[i] = [typeOf(array, path), part.length, path];
  }
  writer.write(table);
  return parts;
}

function typeOf(array: Detached['array'], path: readonly Key[]): number {
  if (array instanceof ArrayBuffer) return BUFFER_TYPE;
  for (let type = 0; type < ARRAY_TYPES.length; type += 1) {
    if (array instanceof ARRAY_TYPES[type]!) return type;
  }
  throw unsupported(`a ${array.constructor.name}`, path);
}

function bytesOf(array: Detached['array']): Uint8Array {
  if (array instanceof Uint8Array) return array;
  return array instanceof ArrayBuffer
    ? new Uint8Array(array)
    : new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}

/** For so many bytes and the parts behind them. */
function allocate(bytes: number, parts: readonly Uint8Array[]): Uint8Array {
  let end = bytes;
  for (const part of parts) end = align(end) + part.length;
  if (end > FRAME_BYTES_MAX) {
    throw new RangeError(`The value takes ${end} bytes; a frame holds ${FRAME_BYTES_MAX}.`);
  }
  // Buffer leaves out the zeroing, and its pool is 8-byte-aligned too.
  return Buffer.allocUnsafe(end);
}

function copyParts(frame: Uint8Array, start: number, parts: readonly Uint8Array[]): void {
  let position = start;
  for (const part of parts) {
    const aligned = align(position);
    while (position < aligned) {
      frame[position] = 0;
      position += 1;
    }
    frame.set(part, position);
    position += part.length;
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

/** The same bytes. */
export function asBuffer(bytes: Uint8Array): Buffer {
  if (Buffer.isBuffer(bytes)) return bytes;
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Frames and their attachments begin at multiples of 8. */
export function align(position: number): number {
  return Math.ceil(position / 8) * 8;
}

function damaged(what: string): DamagedDataError {
  return new DamagedDataError(
    `The frame ${what}. It was damaged on its way or written by another version of the protocol.`,
  );
}
