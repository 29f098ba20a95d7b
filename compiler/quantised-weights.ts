import type { QuantisedInput } from './passes/quantise-products.ts';
import type { StateMemory } from './state-store.ts';

/**
 * Seven bits: processors without VNNI add two products of an unsigned and a signed byte in 16 bits, and
 * saturate; 2 · 255 · 63 still fits.
 */
const STEPS_MAX = 63;

/** State entries as int8 with a scale for each column, made anew when an entry has been written to. */
export class QuantisedWeights {
  readonly input: QuantisedInput;
  /** [rows, columns] */
  readonly shape: readonly [number, number];
  readonly values: Int8Array;
  readonly scales: Float32Array;
  #version = -1;

  constructor(input: QuantisedInput, shape: readonly [number, number]) {
    this.input = input;
    this.shape = shape;
    this.values = new Int8Array(shape[0] * shape[1]);
    this.scales = new Float32Array(shape[1]);
  }

  /** Follows the entry `name` of `state`. @returns whether it has changed. */
  refresh(state: StateMemory, name: string): boolean {
    const version = state.versionOf(name);
    if (version === this.#version) return false;
    this.#version = version;
    quantiseColumns(state.read(name) as Float32Array, this);
    return true;
  }
}

/**
 * Rounds each column of `source` [rows, columns] to −63…63 steps of a scale of its own, symmetric
 * about zero. A column of zeros gets scale 1, one with NaN or infinity gets NaN: its products are then NaN as well.
 */
export function quantiseColumns(
  source: Float32Array,
  target: { readonly values: Int8Array; readonly scales: Float32Array },
): void {
  const { values, scales } = target;
  const columns = scales.length;
  scales.fill(0);
  for (let start = 0; start < source.length; start += columns) {
    for (let column = 0; column < columns; column++) {
      const size = Math.abs(source[start + column]!);
      // NaN is larger than nothing, and nothing is larger than it.
      if (size > scales[column]! || Number.isNaN(size)) scales[column] = size;
    }
  }
  const stepsPerUnit = new Float32Array(columns);
  for (let column = 0; column < columns; column++) {
    const largest = scales[column]!;
    scales[column] = largest === 0 ? 1 : Number.isFinite(largest) ? largest / STEPS_MAX : NaN;
    stepsPerUnit[column] = largest === 0 ? 0 : STEPS_MAX / largest;
  }
  for (let start = 0; start < source.length; start += columns) {
    for (let column = 0; column < columns; column++) {
      values[start + column] = Math.round(source[start + column]! * stepsPerUnit[column]!);
    }
  }
}
