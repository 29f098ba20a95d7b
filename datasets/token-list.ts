/** Word pieces in the order of the text. */
export type Tokens = Uint16Array | Uint32Array;

/** A power of two, so that blocks of a smaller power never cross a chunk's end. */
export const CHUNK_TOKENS = 1 << 20;

/**
 * A growing list of tokens that takes two bytes for each where they suffice and never copies what
 * it has.
 */
export class TokenList {
  readonly #wide: boolean;
  readonly #chunks: Tokens[] = [];
  #last: Tokens = new Uint16Array(0);
  #used = 0;

  constructor(vocabularySize: number) {
    this.#wide = vocabularySize > 1 << 16;
  }

  get length(): number {
    return Math.max(0, this.#chunks.length - 1) * CHUNK_TOKENS + this.#used;
  }

  append(pieces: readonly number[]): void {
    let chunk = this.#last;
    let used = this.#used;
    // Most of encoding's time goes here: fields are read once and the pieces by index.
    for (let i = 0; i < pieces.length; i++) {
      if (used === chunk.length) {
        chunk = this.#addChunk();
        used = 0;
      }
      chunk[used++] = pieces[i]!;
    }
    this.#used = used;
  }

  /**
   * A view. `tokens`, a power of two, is at most CHUNK_TOKENS; the list's last block may be
   * shorter.
   */
  block(index: number, tokens: number): Tokens {
    const start = index * tokens;
    const chunk = this.#chunks[Math.floor(start / CHUNK_TOKENS)]!;
    const from = start % CHUNK_TOKENS;
    const end = chunk === this.#last ? this.#used : chunk.length;
    return chunk.subarray(from, Math.min(from + tokens, end));
  }

  #addChunk(): Tokens {
    this.#last = this.#wide ? new Uint32Array(CHUNK_TOKENS) : new Uint16Array(CHUNK_TOKENS);
    this.#chunks.push(this.#last);
    return this.#last;
  }
}
