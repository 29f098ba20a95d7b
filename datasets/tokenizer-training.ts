import {
  FIRST_MERGE,
  joinPair,
  type Merge,
  pairKey,
  pairOf,
  Tokenizer,
  WORD_PATTERN,
} from './tokenizer.ts';

/** How often each word occurs, the only thing that training a tokenizer needs of a text. */
export class WordCounts {
  readonly counts: Map<string, number> = new Map();

  add(text: string): void {
    for (const [word] of text.matchAll(WORD_PATTERN)) {
      this.counts.set(word, (this.counts.get(word) ?? 0) + 1);
    }
  }
}

/** A pair that occurs once is no pattern. */
const PAIR_COUNT_MIN = 2;

/**
 * Learns merges until there are `vocabularySize` pieces or no pair occurs twice. The pair that occurs most goes
 * first, among equals the one of the smaller pieces, so that one text gives one tokenizer.
 */
export function trainTokenizer(
  words: WordCounts,
  options: { readonly vocabularySize: number },
): Tokenizer {
  const pairs = new PairIndex(words);
  const merges: Merge[] = [];
  while (FIRST_MERGE + merges.length < options.vocabularySize) {
    const pair = pairs.takeMostFrequent();
    if (pair === undefined) break;
    pairs.join(pair, FIRST_MERGE + merges.length);
    merges.push(pair);
  }
  return new Tokenizer(merges);
}

interface CountedWord {
  pieces: readonly number[];
  readonly count: number;
}

/** The pairs of all words with their counts; a merge updates only the words that have its pair. */
class PairIndex {
  readonly #words: CountedWord[] = [];
  readonly #counts = new Map<number, number>();
  readonly #wordsOf = new Map<number, Set<number>>();
  readonly #candidates: PairHeap = new PairHeap();

  constructor(words: WordCounts) {
    for (const [word, count] of words.counts) {
      this.#words.push({ pieces: [...new TextEncoder().encode(word)], count });
    }
    for (const index of this.#words.keys()) this.#countPairs(index, 1);
    for (const [key, count] of this.#counts) this.#candidates.push({ key, count });
  }

  takeMostFrequent(): Merge | undefined {
    for (;;) {
      const candidate = this.#candidates.pop();
      if (candidate === undefined) return undefined;
      const count = this.#counts.get(candidate.key) ?? 0;
      if (count < PAIR_COUNT_MIN) continue;
      if (count === candidate.count) return pairOf(candidate.key);
      // Its count has fallen since it was queued: it waits for its turn again.
      if (count < candidate.count) this.#candidates.push({ key: candidate.key, count });
    }
  }

  join(pair: Merge, joined: number): void {
    const key = pairKey(pair[0], pair[1]);
    const touched = this.#wordsOf.get(key) ?? new Set();
    const grown = new Set<number>();
    for (const index of touched) {
      const word = this.#words[index] as CountedWord;
      this.#countPairs(index, -1);
      word.pieces = joinPair(word.pieces, pair, joined);
      for (const next of this.#countPairs(index, 1)) {
        if (pairOf(next).includes(joined)) grown.add(next);
      }
    }
    this.#counts.delete(key);
    this.#wordsOf.delete(key);
    for (const next of grown) {
      this.#candidates.push({ key: next, count: this.#counts.get(next) ?? 0 });
    }
  }

  /** Adds (sign 1) or takes away (−1) the pairs of one word, and returns them. */
  #countPairs(index: number, sign: 1 | -1): readonly number[] {
    const { pieces, count } = this.#words[index] as CountedWord;
    const keys: number[] = [];
    for (let i = 0; i + 1 < pieces.length; i++) {
      const key = pairKey(pieces[i] as number, pieces[i + 1] as number);
      keys.push(key);
      this.#counts.set(key, (this.#counts.get(key) ?? 0) + sign * count);
      if (sign === -1) continue;
      const words = this.#wordsOf.get(key);
      if (words === undefined) this.#wordsOf.set(key, new Set([index]));
      else words.add(index);
    }
    return keys;
  }
}

interface Candidate {
  readonly key: number;
  readonly count: number;
}

/** A binary heap: the candidate of the largest count is on top, among equals that of the smallest key. */
class PairHeap {
  readonly #items: Candidate[] = [];

  push(item: Candidate): void {
    const items = this.#items;
    let at = items.push(item) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!goesFirst(item, items[parent] as Candidate)) break;
      items[at] = items[parent] as Candidate;
      at = parent;
    }
    items[at] = item;
  }

  pop(): Candidate | undefined {
    const items = this.#items;
    const top = items[0];
    const item = items.pop();
    if (top === undefined || item === undefined || items.length === 0) return top;
    let at = 0;
    for (let child = 1; child < items.length; child = 2 * at + 1) {
      const right = items[child + 1];
      if (right !== undefined && goesFirst(right, items[child] as Candidate)) child++;
      if (!goesFirst(items[child] as Candidate, item)) break;
      items[at] = items[child] as Candidate;
      at = child;
    }
    items[at] = item;
    return top;
  }
}

function goesFirst(a: Candidate, b: Candidate): boolean {
  return a.count !== b.count ? a.count > b.count : a.key < b.key;
}
