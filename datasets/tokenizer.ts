import * as v from 'valibot';
import { DamagedDataError } from '../errors.ts';

/** Ids 0 … 255 are the bytes themselves; 256 ends a document; pieces made by merges follow. */
export const END_OF_DOCUMENT = 256;
export const FIRST_MERGE = 257;

/** Two pieces that become one; the n-th merge makes piece `FIRST_MERGE + n`. */
export type Merge = readonly [left: number, right: number];

/**
 * What merges never cross: a word with the space before it, a number, punctuation, line ends, other space. Each
 * text is the concatenation of its words.
 */
export const WORD_PATTERN: RegExp =
  / ?\p{L}+| ?\p{N}{1,3}| ?[^\s\p{L}\p{N}]+|\n+|[^\S\n]+(?!\S)|[^\S\n]+/gu;

/** Words whose pieces are remembered; text repeats few words very often. */
const CACHED_WORDS_MAX = 100_000;

/** What a tokenizer is on disk. */
export interface TokenizerFile {
  readonly format: 'codistill-byte-pair-encoding';
  readonly version: 1;
  readonly merges: readonly Merge[];
}

const fileSchema = v.object({
  format: v.literal('codistill-byte-pair-encoding'),
  version: v.literal(1),
  merges: v.pipe(
    v.array(v.strictTuple([v.pipe(v.number(), v.integer()), v.pipe(v.number(), v.integer())])),
    v.maxLength(1 << 20),
  ),
});

/** Byte-level byte pair encoding (Sennrich et al. 2016): any text has a code, and decodes to itself. */
export class Tokenizer {
  readonly #merges: readonly Merge[];
  /** The merge's place by `left · 2²¹ + right`; an earlier merge goes first. */
  readonly #ranks = new Map<number, number>();
  readonly #cache = new Map<string, readonly number[]>();

  constructor(merges: readonly Merge[]) {
    this.#merges = merges;
    for (const [rank, [left, right]] of merges.entries()) {
      this.#ranks.set(pairKey(left, right), rank);
    }
  }

  get vocabularySize(): number {
    return FIRST_MERGE + this.#merges.length;
  }

  /** Calls `take` with the pieces of each word of `text`, in order. */
  encode(text: string, take: (pieces: readonly number[]) => void): void {
    for (const [word] of text.matchAll(WORD_PATTERN)) take(this.#encodeWord(word));
  }

  /** The text of `pieces`; bytes that are no UTF-8 become replacement characters. */
  decode(pieces: Iterable<number>): string {
    const bytes: number[] = [];
    for (const piece of pieces) this.#appendBytes(piece, bytes);
    return new TextDecoder().decode(Uint8Array.from(bytes));
  }

  toJSON(): TokenizerFile {
    return {
      format: 'codistill-byte-pair-encoding',
      version: 1,
      merges: this.#merges,
    };
  }

  /** @throws DamagedDataError when `value` is not what `toJSON` makes. */
  static fromJSON(value: unknown): Tokenizer {
    const parsed = v.safeParse(fileSchema, value);
    if (!parsed.success) {
      throw new DamagedDataError(`not a tokenizer file: ${v.summarize(parsed.issues)}`);
    }
    for (const [index, merge] of parsed.output.merges.entries()) {
      if (merge.every((piece) => piece >= 0 && piece < FIRST_MERGE + index)) continue;
      throw new DamagedDataError(`merge ${index} of the tokenizer file uses a piece made later`);
    }
    return new Tokenizer(parsed.output.merges);
  }

  #encodeWord(word: string): readonly number[] {
    const known = this.#cache.get(word);
    if (known !== undefined) return known;
    const pieces = this.#mergePieces([...new TextEncoder().encode(word)]);
    if (this.#cache.size >= CACHED_WORDS_MAX) this.#cache.clear();
    this.#cache.set(word, pieces);
    return pieces;
  }

  /** Applies the earliest merge that fits, wherever it fits, until none does. */
  #mergePieces(bytes: readonly number[]): readonly number[] {
    let pieces = bytes;
    for (;;) {
      let rank = Number.POSITIVE_INFINITY;
      for (let i = 0; i + 1 < pieces.length; i++) {
        const key = pairKey(pieces[i] as number, pieces[i + 1] as number);
        rank = Math.min(rank, this.#ranks.get(key) ?? Number.POSITIVE_INFINITY);
      }
      if (rank === Number.POSITIVE_INFINITY) return pieces;
      pieces = joinPair(pieces, this.#merges[rank] as Merge, FIRST_MERGE + rank);
    }
  }

  #appendBytes(piece: number, bytes: number[]): void {
    if (piece < 256) bytes.push(piece);
    const merge = this.#merges[piece - FIRST_MERGE];
    if (merge === undefined) return;
    this.#appendBytes(merge[0], bytes);
    this.#appendBytes(merge[1], bytes);
  }
}

/** Pieces are below 2²¹, so a pair is a safe integer. */
export function pairKey(left: number, right: number): number {
  return left * 2 ** 21 + right;
}

export function pairOf(key: number): Merge {
  return [Math.floor(key / 2 ** 21), key % 2 ** 21];
}

/** `pieces` with each occurrence of the pair, from the left, replaced by `joined`. */
export function joinPair(
  pieces: readonly number[],
  [left, right]: Merge,
  joined: number,
): number[] {
  const result: number[] = [];
  for (let i = 0; i < pieces.length; i++) {
    if (pieces[i] === left && pieces[i + 1] === right) {
      result.push(joined);
      i++;
    } else {
      result.push(pieces[i] as number);
    }
  }
  return result;
}
