import { DamagedDataError } from '../../errors.ts';
import { selectLargest } from './largest-changes.ts';
import { addSteps, type CodedSteps, encodeSteps, expectLength } from './step-coding.ts';

/**
 * How changed weights are coded. `f32`: the values as they are. `bf16`, `f16`: each change in 16 bits.
 * `int8`, `int4`: steps of one scale for each row, those of int8 in Huffman codes. `sparse`: the largest changes alone, in
 * a byte each.
 */
export type DeltaCodec = 'f32' | 'bf16' | 'f16' | 'int8' | 'int4' | 'sparse';
export const deltaCodecs: readonly DeltaCodec[] = ['f32', 'bf16', 'f16', 'int8', 'int4', 'sparse'];

/** One parameter's new values, or their change from a base that the receiver has. */
export type TensorDelta =
  | { readonly codec: 'f32'; readonly values: Float32Array }
  /** The upper or the IEEE half of each change. */
  | { readonly codec: 'bf16' | 'f16'; readonly halves: Uint16Array }
  | CodedSteps
  /**
   * The changes' sizes are `levels[0]` · `levels[1]`ᵏ, k = 0 … 7. In the lower half of each entry how many places the
   * change is after the one before (the first after place −1), in the upper its k and the sign; a lower half of 0
   * passes over 15 places for each step of the upper, and 15 more.
   */
  | { readonly codec: 'sparse'; readonly levels: Float32Array; readonly entries: Uint8Array };

/** A byte each: about a thirty-second of the f32 bytes. */
const SPARSE_SHARE = 1 / 8;
/** Below it a row scale costs little, and a share of the values would be none. */
const SPARSE_ELEMENTS_MIN = 1024;
const LEVELS = 8;
const GAP_MAX = 15;
const SKIPS_MAX = 16;

/** Codes the change from `from` to `values`; a row is `row` values long. Neither is kept. */
export function encodeChange(
  codec: Exclude<DeltaCodec, 'f32'>,
  values: Float32Array,
  from: Float32Array,
  row: number,
): TensorDelta {
  switch (codec) {
    case 'bf16':
    case 'f16':
      return { codec, halves: encodeHalves(codec, changesOf(values, from)) };
    case 'int8':
    case 'int4':
      return encodeSteps(codec, changesOf(values, from), row);
    case 'sparse':
      return values.length < SPARSE_ELEMENTS_MIN
        ? encodeSteps('int8', changesOf(values, from), row)
        : encodeSparse(changesOf(values, from));
  }
}

/**
 * The values after a change. Sender and receiver run exactly this, rounding to float32 each time, so
 * their bits agree.
 * @throws DamagedDataError when the delta doesn't fit `length` values in rows of `row`.
 */
export function applyChange(
  name: string,
  from: Float32Array | undefined,
  delta: TensorDelta,
  { length, row }: { readonly length: number; readonly row: number },
): Float32Array {
  if (delta.codec === 'f32') {
    expectLength(name, delta.values, length);
    // A view would keep the whole received frame alive and may be shared.
    return delta.values.slice();
  }
  if (from === undefined) throw new DamagedDataError(`delta of ${name} without a base`);
  const result = from.slice();
  switch (delta.codec) {
    case 'bf16':
    case 'f16':
      expectLength(name, delta.halves, length);
      addHalves(result, delta.codec, delta.halves);
      return result;
    case 'int8':
    case 'int4':
      addSteps(name, result, delta, row);
      return result;
    case 'sparse':
      expectLength(`${name} levels`, delta.levels, 2);
      addSparse(name, result, delta);
      return result;
    default:
      throw new DamagedDataError(`delta of ${name} has the unknown codec ${String(delta)}`);
  }
}

/** Bytes of the arrays that a delta carries. */
export function tensorDeltaBytes(delta: TensorDelta): number {
  switch (delta.codec) {
    case 'f32':
      return delta.values.byteLength;
    case 'bf16':
    case 'f16':
      return delta.halves.byteLength;
    case 'int8':
    case 'int4':
      return delta.rowScales.byteLength + delta.packed.byteLength;
    case 'sparse':
      return delta.levels.byteLength + delta.entries.byteLength;
  }
}

/** The values as they are after a rounding to `codec`; a row is `row` values long. */
export function rounded(
  codec: Exclude<DeltaCodec, 'f32' | 'sparse'>,
  values: Float32Array,
  row: number,
): Float32Array {
  const zeros = new Float32Array(values.length);
  const delta = encodeChange(codec, values, zeros, row);
  return applyChange('weights', zeros, delta, { length: values.length, row });
}

/**
 * Bytes of a delta of tensors with these shapes; a sparse one has some entries more, to pass over gaps, and one in int8
 * is smaller the less alike the sizes of the changes are.
 */
export function deltaBytesAbout(
  codec: DeltaCodec,
  shapes: Readonly<Record<string, readonly number[]>>,
): number {
  return Object.values(shapes).reduce((sum, shape) => {
    const length = shape.reduce((product, size) => product * size, 1);
    return sum + tensorBytesAbout(codec, length, shape.at(-1) ?? 1);
  }, 0);
}

function tensorBytesAbout(codec: DeltaCodec, length: number, row: number): number {
  const rowScales = 4 * Math.ceil(length / row);
  switch (codec) {
    case 'f32':
      return 4 * length;
    case 'bf16':
    case 'f16':
      return 2 * length;
    case 'int8':
      return length + rowScales;
    case 'int4':
      return Math.ceil(length / 2) + rowScales;
    case 'sparse':
      if (length < SPARSE_ELEMENTS_MIN) return length + rowScales;
      return 8 + Math.floor(length * SPARSE_SHARE);
  }
}

/** The change that makes `values` of `from`. */
export function changesOf(values: Float32Array, from: Float32Array): Float32Array {
  const changes = new Float32Array(values.length);
  for (let i = 0; i < changes.length; i++) changes[i] = values[i]! - from[i]!;
  return changes;
}

function encodeHalves(codec: 'bf16' | 'f16', changes: Float32Array): Uint16Array {
  const toHalf = codec === 'bf16' ? toBfloat16 : toFloat16;
  const bits = new Uint32Array(changes.buffer);
  const halves = new Uint16Array(changes.length);
  for (let i = 0; i < halves.length; i++) halves[i] = toHalf(bits[i]!);
  return halves;
}

function addHalves(result: Float32Array, codec: 'bf16' | 'f16', halves: Uint16Array): void {
  const table = codec === 'f16' ? float16Values() : undefined;
  const bits = new Uint32Array(1);
  const value = new Float32Array(bits.buffer);
  for (let i = 0; i < result.length; i++) {
    if (table === undefined) bits[0] = halves[i]! << 16;
    result[i] = result[i]! + (table === undefined ? value[0]! : table[halves[i]!]!);
  }
}

/**
 * What isn't sent, and what rounding to a level takes away or adds, stays in the difference from the base (error
 * feedback): many changes told roughly come closer to the weights than few told exactly.
 */
function encodeSparse(changes: Float32Array): TensorDelta {
  const places = selectLargest(changes, Math.floor(changes.length * SPARSE_SHARE));
  const levels = levelsOf(changes, places);
  const [smallest, ratio] = levels as unknown as readonly [number, number];
  const entries: number[] = [];
  let last = -1;
  for (const place of places) {
    let skips = Math.ceil((place - last) / GAP_MAX) - 1;
    last += GAP_MAX * skips;
    for (; skips > 0; skips -= SKIPS_MAX) entries.push((Math.min(skips, SKIPS_MAX) - 1) << 4);
    const change = changes[place]!;
    const level = Math.round(Math.log(Math.abs(change) / smallest) / Math.log(ratio));
    const sign = change < 0 ? LEVELS : 0;
    entries.push(((sign + Math.max(0, Math.min(LEVELS - 1, level))) << 4) | (place - last));
    last = place;
  }
  return { codec: 'sparse', levels, entries: Uint8Array.from(entries) };
}

/** From the smallest to the largest size of those changes, each so many times the one before. */
function levelsOf(changes: Float32Array, places: Uint32Array): Float32Array {
  let smallest = Number.POSITIVE_INFINITY;
  let largest = 0;
  for (const place of places) {
    const size = Math.abs(changes[place]!);
    if (size < smallest) smallest = size;
    if (size > largest) largest = size;
  }
  // Of equal sizes any ratio but 1 gives their level as 0.
  const ratio = largest > smallest ? (largest / smallest) ** (1 / (LEVELS - 1)) : 2;
  return Float32Array.of(places.length > 0 ? smallest : 0, ratio);
}

function addSparse(
  name: string,
  result: Float32Array,
  { levels, entries }: Extract<TensorDelta, { codec: 'sparse' }>,
): void {
  const sizes = new Float32Array(LEVELS).fill(levels[0]!);
  for (let level = 1; level < LEVELS; level++) sizes[level] = sizes[level - 1]! * levels[1]!;
  let place = -1;
  for (const entry of entries) {
    const gap = entry & GAP_MAX;
    const upper = entry >> 4;
    place += gap === 0 ? GAP_MAX * (upper + 1) : gap;
    if (place >= result.length) {
      throw new DamagedDataError(`delta of ${name} changes value ${place} of ${result.length}`);
    }
    if (gap === 0) continue;
    const size = sizes[upper % LEVELS]!;
    result[place] = result[place]! + (upper < LEVELS ? size : -size);
  }
}

/** Rounds the bits of a float32 to the nearest bfloat16, to even between two. */
function toBfloat16(bits: number): number {
  if ((bits & 0x7fff_ffff) > 0x7f80_0000) return 0x7fc0;
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}

/** Rounds the bits of a float32 to the nearest IEEE half, to even between two; beyond it, infinite. */
function toFloat16(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const size = bits & 0x7fff_ffff;
  if (size > 0x7f80_0000) return sign | 0x7e00;
  if (size >= 0x477f_f000) return sign | 0x7c00;
  if (size >= 0x3880_0000) {
    const even = (size >>> 13) & 1;
    return sign | ((size - 0x3800_0000 + 0xfff + even) >>> 13);
  }
  // Subnormal: a whole number of 2⁻²⁴.
  if (size < 0x3300_0000) return sign;
  const shift = 126 - (size >>> 23);
  const mantissa = (size & 0x7f_ffff) | 0x80_0000;
  const half = mantissa >>> shift;
  const rest = mantissa & ((1 << shift) - 1);
  const middle = 1 << (shift - 1);
  return sign | (half + (rest > middle || (rest === middle && (half & 1) === 1) ? 1 : 0));
}

let halfValues: Float32Array | undefined;

/** The value of each of the 65,536 halves. */
function float16Values(): Float32Array {
  halfValues ??= Float32Array.from({ length: 65_536 }, (_, half) => {
    const sign = half & 0x8000 ? -1 : 1;
    const exponent = (half >> 10) & 31;
    const mantissa = half & 0x3ff;
    if (exponent === 31) return mantissa === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
    if (exponent === 0) return sign * mantissa * 2 ** -24;
    return sign * (1 + mantissa / 1024) * 2 ** (exponent - 15);
  });
  return halfValues;
}
