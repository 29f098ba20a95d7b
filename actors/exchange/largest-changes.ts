/** Sizes are told apart by the upper bits of a float32: its exponent and the first 7 bits after it. */
const BIN_SHIFT = 16;
const BINS = 1 << (31 - BIN_SHIFT);
const SIGNLESS = 0x7fff_ffff;

/**
 * The places of the `count` largest changes by absolute value, in ascending order. Two passes and no
 * sorting: sizes that agree in their first 8 binary digits count as equal, and of those at the limit the
 * first ones are taken. Zeros are never taken.
 */
export function selectLargest(changes: Float32Array, count: number): Uint32Array {
  const bits = new Uint32Array(changes.buffer, changes.byteOffset, changes.length);
  const bins = new Uint32Array(BINS);
  for (let i = 0; i < bits.length; i++) bins[(bits[i]! & SIGNLESS) >>> BIN_SHIFT]!++;
  let limit = BINS - 1;
  let above = 0;
  while (limit > 0 && above + bins[limit]! <= count) above += bins[limit--]!;
  let atLimit = count - above;
  const places = new Uint32Array(count);
  let found = 0;
  for (let i = 0; i < bits.length && found < count; i++) {
    const size = bits[i]! & SIGNLESS;
    const bin = size >>> BIN_SHIFT;
    if (size === 0 || bin < limit) continue;
    if (bin === limit) {
      if (atLimit === 0) continue;
      atLimit--;
    }
    places[found++] = i;
  }
  return places.subarray(0, found);
}
