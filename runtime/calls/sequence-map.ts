const CAPACITY_LEAST = 64;
/** Numbers are never negative. */
const FREE = -1;

/**
 * Values under numbers that mostly grow, as those of calls do: they come and go by the million. A `Map`
 * gets a new table for every few hundred of them, and V8 keeps what its dead tables name until the next
 * full collection (measured: a seventh of a caller's time). Here a table is made only for more values at
 * once than ever before; numbers that follow each other don't share a place in it.
 */
export class SequenceMap<Value> {
  #numbers: number[] = new Array<number>(CAPACITY_LEAST).fill(FREE);
  #values: (Value | undefined)[] = new Array<Value | undefined>(CAPACITY_LEAST).fill(undefined);
  /** The capacity, a power of two, less one. */
  #mask = CAPACITY_LEAST - 1;
  #size = 0;
  /** How many stand behind their own place because of others: mostly none. */
  #displaced = 0;

  get size(): number {
    return this.#size;
  }

  get(number: number): Value | undefined {
    return this.#values[this.#find(number)];
  }

  has(number: number): boolean {
    return this.#numbers[this.#find(number)] === number;
  }

  set(number: number, value: Value): void {
    let place = this.#find(number);
    if (this.#numbers[place] === FREE) {
      // Half of it stays free, so that searches end soon.
      if (this.#size * 2 > this.#mask) {
        this.#resize((this.#mask + 1) * 2);
        place = this.#find(number);
      }
      this.#put(place, number);
      this.#size += 1;
    }
    this.#values[place] = value;
  }

  delete(number: number): boolean {
    let gap = this.#find(number);
    if (this.#numbers[gap] === FREE) return false;
    this.#size -= 1;
    if (this.#size === 0 && this.#mask >= CAPACITY_LEAST * 16) {
      this.#resize(CAPACITY_LEAST);
      return true;
    }
    if (gap !== (number & this.#mask)) this.#displaced -= 1;
    if (this.#displaced > 0) gap = this.#closeUp(gap);
    this.#numbers[gap] = FREE;
    this.#values[gap] = undefined;
    return true;
  }

  clear(): void {
    this.#size = 0;
    this.#resize(CAPACITY_LEAST);
  }

  /** By ascending number, as they are now. Sorts them: not for every call. */
  valuesInOrder(): readonly Value[] {
    const numbers = this.#numbers.filter((number) => number !== FREE);
    return numbers.sort((a, b) => a - b).map((number) => this.get(number) as Value);
  }

  /** Where the number is, or else where it belongs. */
  #find(number: number): number {
    let place = number & this.#mask;
    for (;;) {
      const there = this.#numbers[place]!;
      if (there === number || there === FREE) return place;
      place = (place + 1) & this.#mask;
    }
  }

  #put(place: number, number: number): void {
    this.#numbers[place] = number;
    if (place !== (number & this.#mask)) this.#displaced += 1;
  }

  /** Moves up what would not be found again behind the gap; returns where the gap is then. */
  #closeUp(start: number): number {
    let gap = start;
    for (let at = (gap + 1) & this.#mask; this.#numbers[at] !== FREE; at = (at + 1) & this.#mask) {
      const number = this.#numbers[at]!;
      const home = number & this.#mask;
      if (((at - home) & this.#mask) < ((at - gap) & this.#mask)) continue;
      this.#displaced -= 1;
      this.#put(gap, number);
      this.#values[gap] = this.#values[at];
      gap = at;
    }
    return gap;
  }

  /** Keeps what fits nowhere else: with a size of 0 nothing. */
  #resize(capacity: number): void {
    const numbers = this.#numbers;
    const values = this.#values;
    const kept = this.#size;
    this.#numbers = new Array<number>(capacity).fill(FREE);
    this.#values = new Array<Value | undefined>(capacity).fill(undefined);
    this.#mask = capacity - 1;
    this.#displaced = 0;
    if (kept === 0) return;
    for (let i = 0; i < numbers.length; i += 1) {
      const number = numbers[i]!;
      if (number === FREE) continue;
      const place = this.#find(number);
      this.#put(place, number);
      this.#values[place] = values[i];
    }
  }
}
