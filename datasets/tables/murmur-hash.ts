/**
 * MurmurHash3, x86, 32 bits (Appleby, public domain), of a text in UTF-8: well spread, the same
 * everywhere, and not for secrets.
 * @param seed 0 … 2³² − 1
 */
export function murmurHash3(text: string, seed: number): number {
  const bytes = utf8(text);
  let hash = seed | 0;
  let at = 0;
  for (; at + 4 <= bytes.length; at += 4) {
    const word =
      bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
    hash ^= scramble(word);
    hash = Math.imul((hash << 13) | (hash >>> 19), 5) + 0xe6546b64;
  }
  let tail = 0;
  for (let left = bytes.length - 1; left >= at; left--) tail = (tail << 8) | bytes[left]!;
  if (at < bytes.length) hash ^= scramble(tail);
  hash ^= bytes.length;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

const encoder = new TextEncoder();
const buffer = new Uint8Array(1 << 10);

/** A view that the next call writes over. */
function utf8(text: string): Uint8Array {
  if (text.length * 3 > buffer.length) return encoder.encode(text);
  return buffer.subarray(0, encoder.encodeInto(text, buffer).written);
}

function scramble(word: number): number {
  const mixed = Math.imul(word, 0xcc9e2d51);
  return Math.imul((mixed << 15) | (mixed >>> 17), 0x1b873593);
}
