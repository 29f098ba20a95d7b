/** A power of two. */
const SLOTS = 1024;
const BYTES_MAX = 64;

const known: string[] = new Array(SLOTS).fill('');

/**
 * The text of ASCII bytes, if there are 64 of them at most, else undefined. Names and keys come again
 * and again, and comparing them is cheaper than making strings of them, which whoever looks them up
 * has to hash.
 */
export function readShortText(bytes: Buffer, start: number, end: number): string | undefined {
  if (end - start > BYTES_MAX) return undefined;
  let hash = 0;
  for (let at = start; at < end; at += 1) hash = (hash * 31 + bytes[at]!) | 0;
  const slot = hash & (SLOTS - 1);
  const text = known[slot]!;
  if (equals(text, bytes, start, end)) return text;
  for (let at = start; at < end; at += 1) if (bytes[at]! > 0x7f) return undefined;
  const made = bytes.toString('latin1', start, end);
  known[slot] = made;
  return made;
}

function equals(text: string, bytes: Buffer, start: number, end: number): boolean {
  if (text.length !== end - start) return false;
  for (let i = 0; i < text.length; i += 1) {
    if (text.charCodeAt(i) !== bytes[start + i]) return false;
  }
  return true;
}
