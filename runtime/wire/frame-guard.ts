import { DamagedDataError } from '../../errors.ts';

/** Deeper nesting is taken for an attack or a cycle; msgpackr recurses once per level. */
export const FRAME_DEPTH_MAX: number = 64;
/** Array elements, map keys and values of one header together. Bulk belongs into typed arrays. */
export const FRAME_ITEMS_MAX: number = 1 << 20;

const remaining = new Uint32Array(FRAME_DEPTH_MAX + 1);
const isMap = new Uint8Array(FRAME_DEPTH_MAX + 1);

/**
 * Walks over MessagePack without building anything, so that msgpackr only ever sees one complete
 * value made of nil, booleans, numbers, strings, arrays, string-keyed maps and `undefined`. Foreign
 * extensions (dates, regular expressions, classes, back references) never reach their decoders.
 *
 * @throws DamagedDataError
 */
export function checkMessagePack(bytes: Uint8Array, start: number, end: number): void {
  let position = start;
  let items = 1;
  let depth = 0;
  remaining[0] = 1;
  isMap[0] = 0;
  // The cursor state is module-level scratch: this function is synchronous and never re-entered.
  while (remaining[depth]! > 0 || depth > 0) {
    if (remaining[depth] === 0) {
      depth -= 1;
      continue;
    }
    if (position >= end) throw damaged('ends early', position - start);
    const token = bytes[position]!;
    const wantsKey = isMap[depth] === 1 && (remaining[depth]! & 1) === 0;
    remaining[depth]! -= 1;
    const size = scalarBytes(bytes, position, end);
    if (size > 0) {
      if (wantsKey && !isString(token)) throw damaged('has a map key that is no string', position);
      position += size;
      continue;
    }
    if (wantsKey) throw damaged('has a map key that is no string', position - start);
    const map = token >> 4 === 0x8 || token === 0xde || token === 0xdf;
    const { count, prefix } = containerCount(bytes, position, end);
    const entries = map ? count * 2 : count;
    items += entries;
    if (items > FRAME_ITEMS_MAX) throw damaged(`has over ${FRAME_ITEMS_MAX} items`, position);
    depth += 1;
    if (depth > FRAME_DEPTH_MAX) throw damaged(`nests over ${FRAME_DEPTH_MAX} deep`, position);
    remaining[depth] = entries;
    isMap[depth] = map ? 1 : 0;
    position += prefix;
  }
  if (position !== end) throw damaged('has bytes after its value', position - start);
}

/** The bytes of a scalar with its token; 0 for a container. */
function scalarBytes(bytes: Uint8Array, position: number, end: number): number {
  const token = bytes[position]!;
  let size: number;
  if (token <= 0x7f || token >= 0xe0) return 1;
  if (token <= 0x9f || (token >= 0xdc && token <= 0xdf)) return 0;
  if (token <= 0xbf) size = 1 + (token & 0x1f);
  else if (token === 0xc0 || token === 0xc2 || token === 0xc3) return 1;
  else if (token === 0xca || token === 0xce || token === 0xd2) size = 5;
  else if (token === 0xcb || token === 0xcf || token === 0xd3) size = 9;
  else if (token === 0xcc || token === 0xd0) size = 2;
  else if (token === 0xcd || token === 0xd1) size = 3;
  else if (token === 0xd9) size = 2 + readLength(bytes, position + 1, 1, end);
  else if (token === 0xda) size = 3 + readLength(bytes, position + 1, 2, end);
  else if (token === 0xdb) size = 5 + readLength(bytes, position + 1, 4, end);
  else if (token === 0xd4 && bytes[position + 1] === 0) size = 3;
  else throw damaged(`holds the unknown token 0x${token.toString(16)}`, position);
  if (position + size > end) throw damaged('ends early', position);
  return size;
}

function containerCount(bytes: Uint8Array, position: number, end: number) {
  const token = bytes[position]!;
  if (token <= 0x9f) return { count: token & 0x0f, prefix: 1 };
  const width = token === 0xdc || token === 0xde ? 2 : 4;
  return { count: readLength(bytes, position + 1, width, end), prefix: 1 + width };
}

function isString(token: number): boolean {
  return token >> 5 === 0x5 || (token >= 0xd9 && token <= 0xdb);
}

function readLength(bytes: Uint8Array, position: number, width: 1 | 2 | 4, end: number): number {
  if (position + width > end) throw damaged('ends early', position);
  let length = 0;
  for (let i = 0; i < width; i += 1) length = length * 256 + bytes[position + i]!;
  return length;
}

function damaged(what: string, position: number): DamagedDataError {
  return new DamagedDataError(
    `The frame's header ${what} (byte ${position}). ` +
      'It was damaged on its way or written by another protocol.',
  );
}
