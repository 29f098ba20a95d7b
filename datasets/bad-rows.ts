import { UserInputError } from '../errors.ts';

export type OnBadRow = 'stop' | 'skip';

/** Names of so many are kept. */
const EXAMPLES_MAX = 10;

/** Counts the rows that can't be used, or ends the work at the first of them. */
export class BadRows {
  readonly #onBadRow: OnBadRow;
  readonly #advice: string;
  readonly #examples: string[] = [];
  #count = 0;

  /** @param advice what else than mending or skipping may help, as the end of a sentence */
  constructor(onBadRow: OnBadRow, advice = '') {
    this.#onBadRow = onBadRow;
    this.#advice = advice;
  }

  /**
   * @param where the file and the row in it
   * @throws UserInputError when rows are not to be skipped.
   */
  add(where: string, reason: string): void {
    if (this.#onBadRow === 'stop') {
      throw new UserInputError(
        `${where}: ${reason}. Mend it, or leave such rows out with onBadRow 'skip'${this.#advice}`,
      );
    }
    this.#count++;
    if (this.#examples.length < EXAMPLES_MAX) this.#examples.push(`${where}: ${reason}`);
  }

  summary(): { rows: number; examples: string[] } {
    return { rows: this.#count, examples: [...this.#examples] };
  }
}
