import * as v from 'valibot';
import { DamagedDataError } from '../errors.ts';
import { PairTable } from './pair-table.ts';
import { WordTable } from './word-table.ts';
import { eachWord, WORD_CHARACTERS_MAX } from './words.ts';

/** Ids 0 … 255 are the bytes themselves; 256 ends a document; pieces made by merges follow. */
export const END_OF_DOCUMENT = 256;
export const FIRST_MERGE = 257;

/** Two pieces that become one; the n-th merge makes piece `FIRST_MERGE + n`. */
export type Merge = readonly [left: number, right: number];

/** Words whose pieces are remembered: few words make up most of a text. */
const REMEMBERED_WORDS_MAX = 100_000;

/** A UTF-16 code unit has three bytes in UTF-8 at most. */
const WORD_BYTES_MAX = 3 * WORD_CHARACTERS_MAX;

const encoder = new TextEncoder();

/** What a tokenizer is on disk. */
export interface TokenizerFile {
  readonly format: 'codistill-byte-pair-encoding';
  readonly version: 1;
  readonly merges: readonly Merge[];
}

const piece = v.pipe(v.number(), v.integer(), v.minValue(0));
const fileSchema = v.object({
  format: v.literal('codistill-byte-pair-encoding'),
  version: v.literal(1),
  merges: v.pipe(v.array(v.strictTuple([piece, piece])), v.maxLength(1 << 20)),
});

/**
 * Byte-level byte pair encoding (Sennrich et al. 2016): any text has a code, which decodes to that
 * text.
 */
export class Tokenizer {
  readonly #merges: readonly Merge[];
  /** The place of each merge; an earlier one goes first. */
  readonly #ranks: PairTable = new PairTable();
  readonly #words: WordTable = new WordTable();
  readonly #piecesOfWord: (readonly number[])[] = [];

  constructor(merges: readonly Merge[]) {
    this.#merges = merges;
    for (const [rank, [left, right]] of merges.entries()) this.#ranks.set(left, right, rank);
  }

  get vocabularySize(): number {
    return FIRST_MERGE + this.#merges.length;
  }

  encode(text: string): number[] {
    const all: number[] = [];
    this.encodeWords(text, (pieces) => {
      for (const piece of pieces) all.push(piece);
    });
    return all;
  }

  /** Calls `take` with the pieces of each word of `text`, in order; faster than one long list. */
  encodeWords(text: string, take: (pieces: readonly number[]) => void): void {
    eachWord(text, (start, end) => {
      const word = this.#words.numberOf(text, start, end);
      const pieces = this.#piecesOfWord[word] ?? this.#learn(word, text.slice(start, end));
      take(pieces);
    });
  }

  /** The text of `pieces`; bytes that are no UTF-8, as at a cut, become replacement characters. */
  decode(pieces: Iterable<number>): string {
    return new TextDecoder('utf-8', { ignoreBOM: true }).decode(this.decodeBytes(pieces));
  }

  /** @throws RangeError for a piece that is not in the vocabulary. */
  decodeBytes(pieces: Iterable<number>): Uint8Array<ArrayBuffer> {
    const bytes: number[] = [];
    for (const piece of pieces) this.#appendBytes(piece, bytes);
    return Uint8Array.from(bytes);
  }

  toJSON(): TokenizerFile {
    return { format: 'codistill-byte-pair-encoding', version: 1, merges: this.#merges };
  }

  /** @throws DamagedDataError when `value` is not what `toJSON` makes. */
  static fromJSON(value: unknown): Tokenizer {
    const parsed = v.safeParse(fileSchema, value);
    if (!parsed.success) {
      throw new DamagedDataError(`not a tokenizer: ${v.summarize(parsed.issues)}`);
    }
    const { merges } = parsed.output;
    const lengths: number[] = new Array(FIRST_MERGE).fill(1);
    for (const [index, [left, right]] of merges.entries()) {
      const length = (lengths[left] ?? Number.NaN) + (lengths[right] ?? Number.NaN);
      lengths.push(length);
      // Else a short file could ask for pieces of any length.
      const possible = length <= WORD_BYTES_MAX;
      if (possible && left !== END_OF_DOCUMENT && right !== END_OF_DOCUMENT) continue;
      throw new DamagedDataError(`not a tokenizer: merge ${index} joins pieces it can't have`);
    }
    return new Tokenizer(merges);
  }

  #learn(word: number, text: string): readonly number[] {
    const pieces = this.#applyMerges([...encoder.encode(text)]);
    if (word >= REMEMBERED_WORDS_MAX) {
      this.#words.clear();
      this.#piecesOfWord.length = 0;
    } else {
      this.#piecesOfWord[word] = pieces;
    }
    return pieces;
  }

  /** Applies the earliest merge that fits, wherever it fits, until none does. */
  #applyMerges(pieces: number[]): readonly number[] {
    for (;;) {
      let first = Number.POSITIVE_INFINITY;
      for (let i = 0; i + 1 < pieces.length; i++) {
        const rank = this.#ranks.get(pieces[i]!, pieces[i + 1]!);
        if (rank >= 0 && rank < first) first = rank;
      }
      if (first === Number.POSITIVE_INFINITY) return pieces;
      joinPair(pieces, this.#merges[first]!, FIRST_MERGE + first);
    }
  }

  #appendBytes(piece: number, bytes: number[]): void {
    if (piece < END_OF_DOCUMENT) bytes.push(piece);
    if (piece <= END_OF_DOCUMENT) return;
    const merge = this.#merges[piece - FIRST_MERGE];
    if (merge === undefined) {
      throw new RangeError(`there is no piece ${piece}: the vocabulary has ${this.vocabularySize}`);
    }
    this.#appendBytes(merge[0], bytes);
    this.#appendBytes(merge[1], bytes);
  }
}

/** Replaces each occurrence of the pair in `pieces`, from the left, by `joined`. */
function joinPair(pieces: number[], [left, right]: Merge, joined: number): void {
  let to = 0;
  for (let from = 0; from < pieces.length; from++, to++) {
    const joins = pieces[from] === left && pieces[from + 1] === right;
    pieces[to] = joins ? joined : pieces[from]!;
    if (joins) from++;
  }
  pieces.length = to;
}
