import type { StepReport } from './training-totals.ts';

const REPORTS_MAX = 10_000;

/**
 * The reports of the last steps, for a reader that may come late or come again. Training never waits for its
 * reader: a reader more than `REPORTS_MAX` steps behind misses the oldest.
 */
export class StepReports {
  readonly #reports: StepReport[] = [];
  #end: { readonly error?: unknown } | undefined;
  #change: PromiseWithResolvers<void> = Promise.withResolvers();

  /** Of training that went back, the steps taken again count. */
  push(report: StepReport): void {
    while ((this.#reports.at(-1)?.step ?? 0) >= report.step) this.#reports.pop();
    this.#reports.push(report);
    if (this.#reports.length > REPORTS_MAX) this.#reports.shift();
    this.#changed();
  }

  finish(): void {
    this.#end = {};
    this.#changed();
  }

  fail(error: unknown): void {
    this.#end = { error };
    this.#changed();
  }

  /** Reports of steps after `step`, in order, until training ends. @throws what ended it early. */
  async *after(step: number): AsyncGenerator<StepReport> {
    let seen = step;
    for (;;) {
      const change = this.#change.promise;
      const next = this.#next(seen);
      if (next !== undefined) {
        seen = next.step;
        yield next;
      } else if (this.#end === undefined) {
        await change;
      } else {
        if ('error' in this.#end) throw this.#end.error;
        return;
      }
    }
  }

  /** The first after `seen`; a reader is mostly near the end. */
  #next(seen: number): StepReport | undefined {
    let index = this.#reports.length;
    while (index > 0 && this.#reports[index - 1]!.step > seen) index--;
    return this.#reports[index];
  }

  #changed(): void {
    this.#change.resolve();
    this.#change = Promise.withResolvers();
  }
}
