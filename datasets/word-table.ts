/**
 * Numbers the distinct words of texts, the first 0, the next 1 and so on. It looks words up where
 * they stand: making a string of each word for a Map took twice the time and kept the texts in
 * memory.
 */
export class WordTable {
  /** Open addressing: a word's number plus one, 0 where the slot is free. */
  #slots = new Int32Array(1 << 14);
  #hashes = new Int32Array(1 << 13);
  /** Word n is `#characters` from `#starts[n]` to `#starts[n + 1]`. */
  #starts = new Int32Array(1 << 13);
  #characters = new Uint16Array(1 << 16);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /**
   * The number of the word between `start` and `end` of `text`: `size` before the call if it is
   * new.
   */
  numberOf(text: string, start: number, end: number): number {
    let hash = end - start;
    for (let at = start; at < end; at++) {
      hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
    }
    hash ^= hash >>> 15;
    const mask = this.#slots.length - 1;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const word = this.#slots[slot]! - 1;
      if (word < 0) return this.#add(hash, slot, text, start, end);
      if (this.#hashes[word] === hash && this.#isWord(word, text, start, end)) return word;
    }
  }

  wordAt(word: number): string {
    return String.fromCharCode(
      ...this.#characters.subarray(this.#starts[word], this.#starts[word + 1]),
    );
  }

  clear(): void {
    this.#slots.fill(0);
    this.#size = 0;
  }

  #isWord(word: number, text: string, start: number, end: number): boolean {
    const from = this.#starts[word]!;
    if (this.#starts[word + 1]! - from !== end - start) return false;
    for (let at = start; at < end; at++) {
      if (this.#characters[from + at - start] !== text.charCodeAt(at)) return false;
    }
    return true;
  }

  #add(hash: number, slot: number, text: string, start: number, end: number): number {
    const word = this.#size++;
    this.#slots[slot] = word + 1;
    this.#hashes[word] = hash;
    const from = this.#starts[word]!;
    const to = from + end - start;
    if (to > this.#characters.length) {
      this.#characters = grown(this.#characters, new Uint16Array(2 * to));
    }
    for (let at = start; at < end; at++) {
      this.#characters[from + at - start] = text.charCodeAt(at);
    }
    this.#starts[word + 1] = to;
    // Half of the slots stay free, so that look-ups are short.
    if (this.#size + 1 >= this.#hashes.length) this.#grow();
    return word;
  }

  #grow(): void {
    const capacity = 2 * this.#hashes.length;
    this.#hashes = grown(this.#hashes, new Int32Array(capacity));
    this.#starts = grown(this.#starts, new Int32Array(capacity));
    this.#slots = new Int32Array(2 * capacity);
    const mask = this.#slots.length - 1;
    for (let word = 0; word < this.#size; word++) {
      let slot = this.#hashes[word]! & mask;
      while (this.#slots[slot] !== 0) slot = (slot + 1) & mask;
      this.#slots[slot] = word + 1;
    }
  }
}

function grown<T extends Int32Array | Uint16Array>(from: T, to: T): T {
  to.set(from);
  return to;
}
