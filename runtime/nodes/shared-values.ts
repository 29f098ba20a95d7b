/** More than the kinds of nodes in a namespace; beyond, values are no longer shared, which only costs memory. */
const VALUES_MAX = 1_024;

/** Gives equal values one place: of a thousand nodes most tell the same of themselves. */
export class SharedValues {
  readonly #known = new Map<string, unknown>();

  /** @param value plain data that nobody changes. */
  share<Value>(value: Value): Value {
    const key = JSON.stringify(value);
    const known = this.#known.get(key);
    if (known !== undefined) return known as Value;
    if (this.#known.size >= VALUES_MAX) this.#known.clear();
    this.#known.set(key, value);
    return value;
  }
}
