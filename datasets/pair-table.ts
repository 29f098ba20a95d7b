/**
 * Numbers for pairs of word pieces. A Map would need keys beyond 31 bits, which V8 keeps as
 * objects: it took four times as long.
 */
export class PairTable {
  /**
   * Open addressing: left, right and number of a pair side by side; left is −1 where the slot is
   * free.
   */
  #slots = new Int32Array(3 << 12).fill(-1);
  #size = 0;

  /** −1 when the pair has none. */
  get(left: number, right: number): number {
    return this.#slots[this.#find(left, right) + 2]!;
  }

  set(left: number, right: number, value: number): void {
    const at = this.#find(left, right);
    if (this.#slots[at] === -1 && ++this.#size * 6 > this.#slots.length) {
      this.#grow();
      this.set(left, right, value);
      return;
    }
    this.#slots[at] = left;
    this.#slots[at + 1] = right;
    this.#slots[at + 2] = value;
  }

  /** Where the pair is, or the free slot where it would be. */
  #find(left: number, right: number): number {
    const slots = this.#slots;
    const capacity = slots.length / 3;
    let hash = Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca6b);
    hash ^= hash >>> 15;
    for (let slot = hash & (capacity - 1); ; slot = (slot + 1) & (capacity - 1)) {
      const at = 3 * slot;
      if (slots[at] === -1 || (slots[at] === left && slots[at + 1] === right)) return at;
    }
  }

  #grow(): void {
    const old = this.#slots;
    this.#slots = new Int32Array(2 * old.length).fill(-1);
    this.#size = 0;
    for (let at = 0; at < old.length; at += 3) {
      if (old[at] !== -1) this.set(old[at]!, old[at + 1]!, old[at + 2]!);
    }
  }
}
