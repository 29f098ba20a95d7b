import type { TokenList, Tokens } from './token-list.ts';

/** Each part as blocks of text that follow one another in it; views on the token list. */
export interface CorpusParts {
  readonly shards: readonly (readonly Tokens[])[];
  readonly heldOut: readonly Tokens[];
}

/**
 * Blocks are some 60 KB of text, long against what a model remembers, so that their seams don't
 * matter.
 */
const BLOCK_TOKENS_MAX = 1 << 14;
/** A small text is dealt out in smaller blocks, so that each part has at least so many. */
const BLOCKS_PER_PART = 16;

/**
 * Deals the text out in blocks, every few one to the held-out part and the others round the shards.
 * So all parts are drawn alike from all documents; a held-out tail would be whatever file comes
 * last.
 */
export function dealOut(
  tokens: TokenList,
  options: { readonly replicas: number; readonly heldOutFraction: number },
): CorpusParts {
  const { replicas, heldOutFraction } = options;
  const smallestShare = Math.min(heldOutFraction, (1 - heldOutFraction) / replicas);
  const blockTokens = blockSize((tokens.length * smallestShare) / BLOCKS_PER_PART);
  const shards: Tokens[][] = Array.from({ length: replicas }, () => []);
  const heldOut: Tokens[] = [];
  let dealt = 0;
  for (let index = 0; index * blockTokens < tokens.length; index++) {
    const block = tokens.block(index, blockTokens);
    if (isHeldOut(index, heldOutFraction)) heldOut.push(block);
    else shards[dealt++ % replicas]!.push(block);
  }
  return { shards, heldOut };
}

/**
 * Nats per held-out token, when each piece's probability is how often the shards have it, plus one.
 */
export function unigramLoss({ shards, heldOut }: CorpusParts, vocabularySize: number): number {
  const counts = new Float64Array(vocabularySize).fill(1);
  let total = vocabularySize;
  for (const block of shards.flat()) {
    for (const token of block) counts[token]!++;
    total += block.length;
  }
  let loss = 0;
  let tokenCount = 0;
  for (const block of heldOut) {
    for (const token of block) loss -= Math.log(counts[token]! / total);
    tokenCount += block.length;
  }
  return loss / tokenCount;
}

/**
 * Whether the running total of `fraction`, from one half on, passes a whole number at this block.
 */
function isHeldOut(index: number, fraction: number): boolean {
  return Math.floor(0.5 + (index + 1) * fraction) > Math.floor(0.5 + index * fraction);
}

/** A power of two, as the token list asks. */
function blockSize(tokensWanted: number): number {
  const tokens = Math.max(1, Math.min(BLOCK_TOKENS_MAX, tokensWanted));
  return 2 ** Math.floor(Math.log2(tokens));
}
