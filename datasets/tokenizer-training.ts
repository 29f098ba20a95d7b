import { setImmediate } from 'node:timers/promises';
import { PairTable } from './pair-table.ts';
import { FIRST_MERGE, type Merge, Tokenizer } from './tokenizer.ts';
import { WordTable } from './word-table.ts';
import { eachWord } from './words.ts';

/** How often each word occurs, the only thing that training a tokenizer needs of a text. */
export class WordCounts {
  readonly #table = new WordTable();
  readonly #counts: number[] = [];

  add(text: string): void {
    eachWord(text, (start, end) => {
      const word = this.#table.numberOf(text, start, end);
      this.#counts[word] = (this.#counts[word] ?? 0) + 1;
    });
  }

  *[Symbol.iterator](): Generator<readonly [word: string, count: number]> {
    for (const [word, count] of this.#counts.entries()) yield [this.#table.wordAt(word), count];
  }
}

export interface TokenizerTrainingOptions {
  /** Pieces at most: the 257 that every tokenizer has, and those that merges make. */
  readonly vocabularySize: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (pieces: number) => void;
}

/** A pair that occurs once is no pattern. */
const PAIR_COUNT_MIN = 2;
/** Places looked at between two turns of the event loop, some 10 ms of work. */
const PLACES_PER_TURN = 100_000;

/**
 * Learns merges until there are `vocabularySize` pieces or no pair occurs twice. The pair that
 * occurs most goes first, among equals the one of the smaller pieces, so that one text gives one
 * tokenizer.
 */
export async function trainTokenizer(
  words: Iterable<readonly [word: string, count: number]>,
  { vocabularySize, signal, onProgress }: TokenizerTrainingOptions,
): Promise<Tokenizer> {
  const index = new PairIndex(words);
  const merges: Merge[] = [];
  let places = 0;
  while (FIRST_MERGE + merges.length < vocabularySize) {
    const pair = index.takeMostFrequent();
    if (pair === undefined) break;
    places += index.join(pair, FIRST_MERGE + merges.length);
    merges.push([pair.left, pair.right]);
    if (places < PLACES_PER_TURN) continue;
    places = 0;
    onProgress?.(FIRST_MERGE + merges.length);
    await setImmediate();
    signal?.throwIfAborted();
  }
  return new Tokenizer(merges);
}

const BOUNDARY = -1;
/**
 * No piece begins or ends here: a place that is looked up later must not find what stood there
 * once.
 */
const INSIDE = -2;

interface Pair {
  readonly left: number;
  readonly right: number;
  /** Occurrences in the text; it only falls once the pair is known in full. */
  count: number;
  /** Where its left piece begins; places where it no longer stands are left in. */
  places: number[];
}

/**
 * The words laid out one after the other with the places of each pair of neighbours, so that a
 * merge costs what it changes and not a pass over the words.
 */
class PairIndex {
  /** Each piece at its first and at its last byte; BOUNDARY before and after each word. */
  readonly #pieces: Int32Array;
  /** The number of the word at each place. */
  readonly #words: Int32Array;
  readonly #wordCounts: readonly number[];
  /** Bytes of each piece. */
  readonly #lengths: number[] = new Array(FIRST_MERGE).fill(1);
  readonly #pairs: Pair[] = [];
  readonly #pairNumbers: PairTable = new PairTable();
  readonly #queue: PairQueue = new PairQueue();

  constructor(words: Iterable<readonly [word: string, count: number]>) {
    const encoder = new TextEncoder();
    const encoded: Uint8Array[] = [];
    const counts: number[] = [];
    let length = 1;
    for (const [word, count] of words) {
      const bytes = encoder.encode(word);
      encoded.push(bytes);
      counts.push(count);
      length += bytes.length + 1;
    }
    this.#wordCounts = counts;
    this.#pieces = new Int32Array(length).fill(BOUNDARY);
    this.#words = new Int32Array(length);
    let at = 1;
    for (const [word, bytes] of encoded.entries()) {
      this.#pieces.set(bytes, at);
      this.#words.fill(word, at, at + bytes.length);
      for (let i = 1; i < bytes.length; i++) {
        this.#found(bytes[i - 1]!, bytes[i]!, at + i - 1);
      }
      at += bytes.length + 1;
    }
    for (const pair of this.#pairs) this.#queue.push(pair);
  }

  takeMostFrequent(): Pair | undefined {
    const pair = this.#queue.pop();
    return pair !== undefined && pair.count >= PAIR_COUNT_MIN ? pair : undefined;
  }

  /**
   * Puts the piece `joined` wherever the pair stands, from the left; returns the places it looked
   * at.
   */
  join({ left, right, places }: Pair, joined: number): number {
    const pieces = this.#pieces;
    const lengths = this.#lengths;
    const firstNew = this.#pairs.length;
    lengths.push(lengths[left]! + lengths[right]!);
    for (const at of places) {
      const middle = at + lengths[left]!;
      if (pieces[at] !== left || pieces[middle] !== right) continue;
      const end = middle + lengths[right]!;
      const before = pieces[at - 1]!;
      const after = pieces[end]!;
      if (before >= 0) {
        this.#lost(before, left, at);
        this.#found(before, joined, at - lengths[before]!);
      }
      if (after >= 0) {
        this.#lost(right, after, at);
        this.#found(joined, after, at);
      }
      pieces[middle - 1] = INSIDE;
      pieces[middle] = INSIDE;
      pieces[at] = joined;
      pieces[end - 1] = joined;
    }
    // Each pair that has become more frequent has the new piece in it, so it is new itself.
    for (let pair = firstNew; pair < this.#pairs.length; pair++) {
      this.#queue.push(this.#pairs[pair]!);
    }
    const looked = places.length;
    places.length = 0;
    return looked;
  }

  #found(left: number, right: number, at: number): void {
    const count = this.#wordCounts[this.#words[at]!]!;
    const number = this.#pairNumbers.get(left, right);
    if (number >= 0) {
      const pair = this.#pairs[number]!;
      pair.count += count;
      pair.places.push(at);
      return;
    }
    this.#pairNumbers.set(left, right, this.#pairs.length);
    this.#pairs.push({ left, right, count, places: [at] });
  }

  #lost(left: number, right: number, at: number): void {
    const pair = this.#pairs[this.#pairNumbers.get(left, right)]!;
    pair.count -= this.#wordCounts[this.#words[at]!]!;
  }
}

/**
 * A binary heap of pairs by their counts. Counts fall while pairs wait; `pop` puts those back in
 * their place.
 */
class PairQueue {
  readonly #pairs: Pair[] = [];
  /** Counts by which the pairs stand in the heap. */
  readonly #counts: number[] = [];

  push(pair: Pair): void {
    let at = this.#pairs.length;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.#goesBefore(pair, pair.count, parent)) break;
      this.#move(parent, at);
      at = parent;
    }
    this.#put(at, pair, pair.count);
  }

  pop(): Pair | undefined {
    for (;;) {
      const top = this.#pairs[0];
      if (top === undefined) return undefined;
      const count = this.#counts[0]!;
      const last = this.#pairs.pop()!;
      const lastCount = this.#counts.pop()!;
      if (this.#pairs.length > 0) this.#sink(last, lastCount);
      if (top.count === count) return top;
      if (top.count >= PAIR_COUNT_MIN) this.push(top);
    }
  }

  #sink(pair: Pair, count: number): void {
    const size = this.#pairs.length;
    let at = 0;
    for (let child = 1; child < size; child = 2 * at + 1) {
      const right = child + 1;
      if (right < size && this.#goesBefore(this.#pairs[right]!, this.#counts[right]!, child)) {
        child = right;
      }
      if (this.#goesBefore(pair, count, child)) break;
      this.#move(child, at);
      at = child;
    }
    this.#put(at, pair, count);
  }

  #move(from: number, to: number): void {
    this.#put(to, this.#pairs[from]!, this.#counts[from]!);
  }

  #put(at: number, pair: Pair, count: number): void {
    this.#pairs[at] = pair;
    this.#counts[at] = count;
  }

  #goesBefore(pair: Pair, count: number, at: number): boolean {
    if (count !== this.#counts[at]) return count > this.#counts[at]!;
    const other = this.#pairs[at]!;
    return pair.left !== other.left ? pair.left < other.left : pair.right < other.right;
  }
}
