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

  push(report: StepReport): void {
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

  /** Reports are of consecutive steps, so the one wanted has a known place. */
  #next(seen: number): StepReport | undefined {
    const first = this.#reports[0];
    return first === undefined ? undefined : this.#reports[Math.max(0, seen + 1 - first.step)];
  }

  #changed(): void {
    this.#change.resolve();
    this.#change = Promise.withResolvers();
  }
}
