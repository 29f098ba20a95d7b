import { DamagedDataError } from '../../errors.ts';
import { FRAME_DEPTH_MAX, FRAME_ITEMS_MAX } from './frame-limits.ts';
import { readShortText } from './short-text.ts';

const NO_BYTES: Buffer = Buffer.alloc(0);

/**
 * Reads MessagePack made of nil, booleans, numbers, strings, arrays, string-keyed maps and `undefined`,
 * checked in the same pass: nothing is built for counts that can't be true, and other extensions
 * (dates, classes, references) are refused. One reader serves one value after another.
 */
export class MessagePackReader {
  #bytes: Buffer = NO_BYTES;
  #start = 0;
  #position = 0;
  #end = 0;
  /** Levels that may yet be entered. */
  #depthLeft = 0;
  #items = 0;

  /** The one value of these bytes, nested `depthMax` deep at most. @throws DamagedDataError */
  read(bytes: Buffer, start: number, end: number, depthMax: number): unknown {
    this.#bytes = bytes;
    this.#start = start;
    this.#position = start;
    this.#end = end;
    this.#depthLeft = depthMax;
    this.#items = 1;
    try {
      const value = this.#readValue();
      if (this.#position !== end) throw this.#damaged('has bytes after its value');
      return value;
    } finally {
      this.#bytes = NO_BYTES;
    }
  }

  #readValue(): unknown {
    const token = this.#readToken();
    if (token <= 0x7f) return token;
    if (token >= 0xe0) return token - 0x100;
    if (token <= 0x8f) return this.#readFields(token & 0x0f);
    if (token <= 0x9f) return this.#readList(token & 0x0f);
    if (token <= 0xbf) return this.#readText(token & 0x1f);
    switch (token) {
      case 0xc0:
        return null;
      case 0xc2:
        return false;
      case 0xc3:
        return true;
      case 0xca:
        return this.#bytes.readFloatBE(this.#take(4));
      case 0xcb:
        return this.#bytes.readDoubleBE(this.#take(8));
      case 0xcc:
        return this.#bytes[this.#take(1)];
      case 0xcd:
        return this.#bytes.readUInt16BE(this.#take(2));
      case 0xce:
        return this.#bytes.readUInt32BE(this.#take(4));
      case 0xcf:
        return this.#bytes.readBigUInt64BE(this.#take(8));
      case 0xd0:
        return this.#bytes.readInt8(this.#take(1));
      case 0xd1:
        return this.#bytes.readInt16BE(this.#take(2));
      case 0xd2:
        return this.#bytes.readInt32BE(this.#take(4));
      case 0xd3:
        return this.#bytes.readBigInt64BE(this.#take(8));
      case 0xd4:
        if (this.#bytes[this.#take(2)] === 0) return undefined;
        throw this.#damaged('holds an extension');
      case 0xdc:
        return this.#readList(this.#bytes.readUInt16BE(this.#take(2)));
      case 0xdd:
        return this.#readList(this.#bytes.readUInt32BE(this.#take(4)));
      case 0xde:
        return this.#readFields(this.#bytes.readUInt16BE(this.#take(2)));
      case 0xdf:
        return this.#readFields(this.#bytes.readUInt32BE(this.#take(4)));
      default:
        return this.#readText(this.#textBytes(token));
    }
  }

  #readList(count: number): unknown[] {
    this.#enter(count);
    const items = new Array<unknown>(count);
    for (let i = 0; i < count; i += 1) items[i] = this.#readValue();
    this.#depthLeft += 1;
    return items;
  }

  #readFields(count: number): Record<string, unknown> {
    this.#enter(count * 2);
    const fields: Record<string, unknown> = {};
    for (let i = 0; i < count; i += 1) {
      const token = this.#readToken();
      const bytes = token >> 5 === 0x5 ? token & 0x1f : this.#textBytes(token);
      const key = this.#readKey(bytes);
      if (key === '__proto__') throw this.#damaged('has a field __proto__');
      fields[key] = this.#readValue();
    }
    this.#depthLeft += 1;
    return fields;
  }

  #enter(items: number): void {
    this.#items += items;
    if (this.#items > FRAME_ITEMS_MAX) throw this.#damaged(`has over ${FRAME_ITEMS_MAX} items`);
    // Each takes a byte at least, so nothing is built for a count that is a lie.
    if (items > this.#end - this.#position) throw this.#damaged('ends early');
    if (this.#depthLeft === 0) throw this.#damaged(`nests over ${FRAME_DEPTH_MAX} deep`);
    this.#depthLeft -= 1;
  }

  /** The length of a text, which is all that may begin with `token` here. */
  #textBytes(token: number): number {
    if (token === 0xd9) return this.#bytes[this.#take(1)]!;
    if (token === 0xda) return this.#bytes.readUInt16BE(this.#take(2));
    if (token === 0xdb) return this.#bytes.readUInt32BE(this.#take(4));
    throw this.#damaged(`has the token 0x${token.toString(16)}, which does not belong there`);
  }

  #readText(bytes: number): string {
    const start = this.#take(bytes);
    return this.#bytes.toString('utf8', start, start + bytes);
  }

  #readKey(bytes: number): string {
    const start = this.#take(bytes);
    const end = start + bytes;
    return readShortText(this.#bytes, start, end) ?? this.#bytes.toString('utf8', start, end);
  }

  #readToken(): number {
    if (this.#position >= this.#end) throw this.#damaged('ends early');
    const token = this.#bytes[this.#position]!;
    this.#position += 1;
    return token;
  }

  /** Goes past the next `bytes` bytes and returns where they begin. */
  #take(bytes: number): number {
    const start = this.#position;
    if (start + bytes > this.#end) throw this.#damaged('ends early');
    this.#position = start + bytes;
    return start;
  }

  #damaged(what: string): DamagedDataError {
    return new DamagedDataError(
      `The frame's header ${what} (byte ${this.#position - this.#start}). ` +
        'It was damaged on its way or written by another protocol.',
    );
  }
}
