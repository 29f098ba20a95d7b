import { constants, deflateRawSync, inflateRawSync } from 'node:zlib';
import { DamagedDataError } from '../../errors.ts';

/** Changes as whole steps of one scale for each row of a tensor. */
export interface CodedSteps {
  readonly codec: 'int8' | 'int4';
  readonly rowScales: Float32Array;
  /**
   * `int8`: a step in a byte, all of them deflated (RFC 1951) by Huffman codes alone. `int4`: two steps in a byte, the
   * first in the lower half; each plus 8.
   */
  readonly packed: Uint8Array;
}

const STEPS_MAX = { int8: 127, int4: 7 } as const;
const INT4_ZERO = 8;

/** `step = round(change / scale)`, scale = largest change of the row / most steps. */
export function encodeSteps(
  codec: CodedSteps['codec'],
  changes: Float32Array,
  row: number,
): CodedSteps {
  const most = STEPS_MAX[codec];
  const rowScales = new Float32Array(changes.length / row);
  const steps = new Int8Array(changes.length);
  for (let r = 0; r < rowScales.length; r++) {
    let largest = 0;
    for (let i = r * row; i < (r + 1) * row; i++) {
      const size = Math.abs(changes[i]!);
      if (size > largest) largest = size;
    }
    const scale = Math.fround(largest / most);
    // A change below the smallest float leaves a scale of zero: it waits for the next delta.
    if (scale === 0) continue;
    rowScales[r] = scale;
    for (let i = r * row; i < (r + 1) * row; i++) {
      steps[i] = Math.max(-most, Math.min(most, Math.round(changes[i]! / scale)));
    }
  }
  return { codec, rowScales, packed: codec === 'int8' ? deflateSteps(steps) : pairSteps(steps) };
}

/** @throws DamagedDataError when they aren't steps for `result` in rows of `row`. */
export function addSteps(name: string, result: Float32Array, coded: CodedSteps, row: number): void {
  const { codec, rowScales, packed } = coded;
  expectLength(`${name} row scales`, rowScales, result.length / row);
  const unpack = codec === 'int8' ? inflateSteps : splitSteps;
  const steps = unpack(name, packed, result.length);
  for (let r = 0; r < rowScales.length; r++) {
    const scale = rowScales[r]!;
    for (let i = r * row; i < (r + 1) * row; i++) {
      result[i] = result[i]! + Math.fround(steps[i]! * scale);
    }
  }
}

/** @throws DamagedDataError */
export function expectLength(
  name: string,
  values: { readonly length: number },
  length: number,
): void {
  if (values.length === length) return;
  throw new DamagedDataError(`${name} has ${values.length} elements, expected ${length}`);
}

/**
 * Most steps of a row are much smaller than its largest, so they take about seven bits. Looking for repetitions as well
 * takes three times as long and finds none.
 */
function deflateSteps(steps: Int8Array): Uint8Array {
  return deflateRawSync(steps, { level: 1, memLevel: 9, strategy: constants.Z_HUFFMAN_ONLY });
}

function inflateSteps(name: string, packed: Uint8Array, length: number): Int8Array {
  let bytes: Uint8Array;
  try {
    bytes = inflateRawSync(packed, { maxOutputLength: length });
  } catch (cause) {
    const reason = (cause as Error).message;
    throw new DamagedDataError(`${name} does not unpack to ${length} steps: ${reason}`, { cause });
  }
  expectLength(name, bytes, length);
  return new Int8Array(bytes.buffer, bytes.byteOffset, length);
}

function pairSteps(steps: Int8Array): Uint8Array {
  const packed = new Uint8Array(Math.ceil(steps.length / 2));
  for (let i = 0; i < steps.length; i++)
    packed[i >> 1]! |= (steps[i]! + INT4_ZERO) << (4 * (i & 1));
  return packed;
}

function splitSteps(name: string, packed: Uint8Array, length: number): Int8Array {
  expectLength(name, packed, Math.ceil(length / 2));
  const steps = new Int8Array(length);
  for (let i = 0; i < length; i++) steps[i] = ((packed[i >> 1]! >> (4 * (i & 1))) & 15) - INT4_ZERO;
  return steps;
}
