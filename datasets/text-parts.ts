import { openTokenShard, type TokenShard } from './token-shard.ts';

/** Some of the tokens of a file. */
export interface TextPart {
  readonly path: string;
  /** Where it begins and ends, as shares of the file's tokens: 0 … 1. */
  readonly from: number;
  readonly to: number;
}

/**
 * The parts that a replica trains on, of `shards` as they were dealt out: the first `sharedFraction` of every shard,
 * which all replicas have, and the rest of its own. 0: disjoint; 1: all have everything.
 */
export function shareText(
  shards: readonly string[],
  replica: number,
  sharedFraction: number,
): readonly TextPart[] {
  const shared = shards.map((path) => ({ path, from: 0, to: sharedFraction }));
  const own = { path: shards[replica] as string, from: sharedFraction, to: 1 };
  return [...shared, own].filter(({ from, to }) => to > from);
}

/** The parts one after the other, as one shard. @throws DamagedDataError */
export async function openTextParts(parts: readonly TextPart[]): Promise<TokenShard> {
  const opened: TokenShard[] = [];
  for (const { path, from, to } of parts) {
    const shard = await openTokenShard(path);
    const [first, last] = [from, to].map((share) => Math.round(share * shard.tokens.length));
    opened.push({ ...shard, tokens: shard.tokens.subarray(first, last) });
  }
  const [only] = opened;
  if (opened.length === 1 && only !== undefined) return only;
  const length = opened.reduce((sum, { tokens }) => sum + tokens.length, 0);
  const wide = opened.some(({ tokens }) => tokens instanceof Uint32Array);
  const tokens = wide ? new Uint32Array(length) : new Uint16Array(length);
  let at = 0;
  for (const shard of opened) {
    tokens.set(shard.tokens, at);
    at += shard.tokens.length;
  }
  return { path: opened.map(({ path }) => path).join(' + '), tokens, crc32: 0 };
}
