/** A stream of numbers that its seed alone decides. */
export interface RandomGenerator {
  /** The next whole number, uniform over 0 … 2³² − 1. */
  nextUint32(): number;
  /** The next number, uniform over [low, high). */
  nextUniform(low: number, high: number): number;
}

/**
 * xoshiro128** 1.1 (Blackman and Vigna, "Scrambled linear pseudorandom number generators", 2021).
 * `stream` names one of many independent streams of the same seed, so that what one parameter
 * draws doesn't depend on which others there are. Not for secrets.
 * @throws RangeError when the seed is no integer in 0 … 2⁵³ − 1.
 */
export function createRandomGenerator(seed: number, stream = ''): RandomGenerator {
  if (!Number.isSafeInteger(seed) || seed < 0) {
    throw new RangeError(`seed is ${seed}: it must be an integer in 0 … 2^53 - 1`);
  }
  let [a, b, c, d] = initialState(seed, stream);
  const nextUint32 = (): number => {
    const result = Math.imul(rotateLeft(Math.imul(b, 5), 7), 9) >>> 0;
    const shifted = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= shifted;
    d = rotateLeft(d, 11);
    return result;
  };
  return {
    nextUint32,
    nextUniform: (low, high) => low + (high - low) * (nextUint32() / 2 ** 32),
  };
}

/** Four words out of seed and stream, through MurmurHash3's finaliser (Appleby, public domain). */
function initialState(seed: number, stream: string): [number, number, number, number] {
  let word = mix(mix(seed >>> 0) ^ Math.floor(seed / 2 ** 32));
  for (const byte of new TextEncoder().encode(stream)) word = mix(Math.imul(word, 31) ^ byte);
  const next = (): number => {
    // The golden ratio's Weyl sequence keeps the four words different, hence not all zero.
    word = (word + 0x9e3779b9) | 0;
    return mix(word);
  };
  return [next(), next(), next(), next()];
}

function mix(value: number): number {
  let bits = value | 0;
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return bits ^ (bits >>> 16);
}

function rotateLeft(bits: number, count: number): number {
  return (bits << count) | (bits >>> (32 - count));
}
