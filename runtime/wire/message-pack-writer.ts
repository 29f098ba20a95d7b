import { FRAME_DEPTH_MAX, FRAME_HEADER_BYTES_MAX, FRAME_ITEMS_MAX } from './frame-limits.ts';

const BUFFER_BYTES = 16 << 10;
/** A buffer that has grown beyond is not kept for the next value. */
const BUFFER_BYTES_KEPT = 1 << 20;
/** Text and copies up to this length are made byte by byte: a call into the engine costs more. */
const SHORT = 64;
/** Keys that an error names of a path that is too long. */
const TOP_KEYS = 4;

export type Key = string | number;

/** A typed array or buffer of a value, and the keys that lead there from the root. */
export interface Detached {
  readonly array: ArrayBufferView | ArrayBuffer;
  readonly path: readonly Key[];
}

/**
 * Writes plain data as MessagePack in the same pass that checks that it is plain data within a frame's
 * bounds. In the place of each typed array it writes null. One writer serves one value after another.
 */
export class MessagePackWriter {
  #buffer: Buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES);
  /** Of the same bytes: quicker with numbers. */
  #view: DataView = viewOf(this.#buffer);
  #end = 0;
  /** Keys from the root to the value at hand; only the first `#depth` are valid. */
  readonly #path: Key[] = [];
  #depth = 0;
  #items = 0;
  #detached: Detached[] = [];

  /** Bytes written since `startList`. */
  get length(): number {
    return this.#end;
  }

  /** What `write` has met since `startList`, in order. Given once: the writer must not keep it alive. */
  takeDetached(): readonly Detached[] {
    const detached = this.#detached;
    if (detached.length > 0) this.#detached = [];
    return detached;
  }

  /** Forgets what was written and begins a list of so many values, 15 at most. */
  startList(count: number): void {
    if (this.#buffer.length > BUFFER_BYTES_KEPT) {
      this.#buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES);
      this.#view = viewOf(this.#buffer);
    }
    if (this.#detached.length > 0) this.#detached = [];
    this.#buffer[0] = 0x90 | count;
    this.#end = 1;
    this.#depth = 0;
    this.#items = 1 + count;
  }

  /** Copies what was written from byte `from` on. */
  copyTo(target: Uint8Array, position: number, from: number): void {
    const length = this.#end - from;
    if (length > SHORT) target.set(this.#buffer.subarray(from, this.#end), position);
    else for (let i = 0; i < length; i += 1) target[position + i] = this.#buffer[from + i]!;
  }

  /** @throws TypeError for what is no plain data, naming its place; RangeError for too much of it. */
  write(value: unknown): void {
    switch (typeof value) {
      case 'string':
        this.#writeText(value);
        break;
      case 'number':
        this.#writeNumber(value);
        break;
      case 'boolean':
        this.#putOne(value ? 0xc3 : 0xc2);
        break;
      case 'undefined':
        this.#writeUndefined();
        break;
      case 'bigint':
        this.#writeBigint(value);
        break;
      case 'object':
        if (value === null) this.#putOne(0xc0);
        else this.#writeObject(value);
        break;
      default:
        throw this.#unsupported(`a ${typeof value}`);
    }
  }

  #writeObject(value: object): void {
    if (Array.isArray(value)) {
      this.#writeList(value);
    } else if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) {
      this.#detached.push({ array: value, path: this.#path.slice(0, this.#depth) });
      this.#putOne(0xc0);
    } else {
      const prototype: unknown = Object.getPrototypeOf(value);
      if (prototype !== Object.prototype && prototype !== null) {
        throw this.#unsupported(`a ${value.constructor?.name ?? 'class instance'}`);
      }
      this.#writeFields(value as Readonly<Record<string, unknown>>);
    }
  }

  #writeList(items: readonly unknown[]): void {
    const { length } = items;
    const level = this.#enter(length);
    this.#reserve(5);
    if (length < 16) this.#put(0x90 | length);
    else this.#putCount(0xdc, length);
    for (let i = 0; i < length; i += 1) {
      this.#path[level] = i;
      this.write(items[i]);
    }
    this.#depth = level;
  }

  #writeFields(fields: Readonly<Record<string, unknown>>): void {
    const keys = Object.keys(fields);
    const level = this.#enter(keys.length * 2);
    this.#reserve(5);
    if (keys.length < 16) this.#put(0x80 | keys.length);
    else this.#putCount(0xde, keys.length);
    for (const key of keys) {
      this.#path[level] = key;
      if (key === '__proto__') throw this.#unsupported('a field of this name');
      this.#writeText(key);
      this.write(fields[key]);
    }
    this.#depth = level;
  }

  /** Goes one level down and returns the level above, whose key of the path the caller sets. */
  #enter(items: number): number {
    this.#items += items;
    if (this.#items > FRAME_ITEMS_MAX) {
      throw new RangeError(
        `The value has over ${FRAME_ITEMS_MAX} elements and fields: ` +
          'put long lists into typed arrays.',
      );
    }
    if (this.#depth >= FRAME_DEPTH_MAX) {
      throw tooDeep(this.#path.slice(0, this.#depth));
    }
    this.#depth += 1;
    return this.#depth - 1;
  }

  #writeNumber(value: number): void {
    this.#reserve(9);
    if (value >>> 0 === value) {
      if (value < 0x80) this.#put(value);
      else if (value < 0x100) {
        this.#put(0xcc);
        this.#put(value);
      } else this.#putCount(0xcd, value);
    } else if (value >> 0 === value) {
      if (value >= -0x20) this.#put(value);
      else {
        this.#put(0xd2);
        this.#view.setInt32(this.#end, value);
        this.#end += 4;
      }
    } else {
      this.#put(0xcb);
      this.#view.setFloat64(this.#end, value);
      this.#end += 8;
    }
  }

  #writeBigint(value: bigint): void {
    this.#reserve(9);
    const signed = BigInt.asIntN(64, value) === value;
    if (!signed && BigInt.asUintN(64, value) !== value) {
      throw this.#unsupported('a bigint of more than 64 bits');
    }
    this.#put(signed ? 0xd3 : 0xcf);
    this.#view.setBigUint64(this.#end, BigInt.asUintN(64, value));
    this.#end += 8;
  }

  /** An extension of type 0, as msgpackr writes it: MessagePack itself has none. */
  #writeUndefined(): void {
    this.#reserve(3);
    this.#put(0xd4);
    this.#put(0);
    this.#put(0);
  }

  #writeText(text: string): void {
    if (text.length < SHORT && this.#putAscii(text)) return;
    const bytes = Buffer.byteLength(text);
    this.#reserve(5 + bytes);
    this.#putCount(0xda, bytes);
    this.#buffer.write(text, this.#end);
    this.#end += bytes;
  }

  /** False, and nothing is written, if it has other characters. */
  #putAscii(text: string): boolean {
    const { length } = text;
    this.#reserve(2 + length);
    const buffer = this.#buffer;
    const start = this.#end + (length < 32 ? 1 : 2);
    for (let i = 0; i < length; i += 1) {
      const code = text.charCodeAt(i);
      if (code > 0x7f) return false;
      buffer[start + i] = code;
    }
    if (length < 32) this.#put(0xa0 | length);
    else {
      this.#put(0xd9);
      this.#put(length);
    }
    this.#end = start + length;
    return true;
  }

  /** A number of 16 bits behind `token`, or one of 32 bits behind the next token. */
  #putCount(token: number, count: number): void {
    const long = count > 0xffff;
    this.#put(long ? token + 1 : token);
    if (long) this.#view.setUint32(this.#end, count);
    else this.#view.setUint16(this.#end, count);
    this.#end += long ? 4 : 2;
  }

  #putOne(byte: number): void {
    this.#reserve(1);
    this.#put(byte);
  }

  #put(byte: number): void {
    this.#buffer[this.#end] = byte;
    this.#end += 1;
  }

  #reserve(bytes: number): void {
    const needed = this.#end + bytes;
    if (needed <= this.#buffer.length) return;
    if (needed > FRAME_HEADER_BYTES_MAX) {
      throw new RangeError(
        `The value has over ${FRAME_HEADER_BYTES_MAX} bytes beside its typed arrays: ` +
          'put bulk into typed arrays.',
      );
    }
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.#buffer.length * 2));
    this.#buffer.copy(larger, 0, 0, this.#end);
    this.#buffer = larger;
    this.#view = viewOf(larger);
  }

  #unsupported(what: string): TypeError {
    return unsupported(what, this.#path.slice(0, this.#depth));
  }
}

function viewOf({ buffer, byteOffset, byteLength }: Buffer): DataView {
  return new DataView(buffer, byteOffset, byteLength);
}

/** Of a path so deep its beginning tells enough. */
export function tooDeep(path: readonly Key[]): TypeError {
  const what = `the top of a nesting of over ${FRAME_DEPTH_MAX} levels or of a cycle`;
  return unsupported(what, path.slice(0, TOP_KEYS));
}

export function unsupported(what: string, path: readonly Key[]): TypeError {
  const place = path.length === 0 ? 'The value' : `The value at ${path.join('.')}`;
  return new TypeError(
    `${place} is ${what}, which can't be sent. Send plain data: null, booleans, numbers, ` +
      'strings, arrays, plain objects, typed arrays, ArrayBuffers, bigints of 64 bits.',
  );
}
