import type { Evaluation } from './evaluator.ts';

/** Training goes on while so many evaluations wait; a further one is skipped. */
const WAITING_MAX = 16;

/** The step whose weights are scored, for each replica; null: as they are now. */
export type Versions = readonly (number | null)[];

/**
 * The evaluations of a run on its way: one for each step that is due, of the weights of exactly that step, one after
 * the other and behind the training. So what they say doesn't depend on when they ran.
 */
export class EvaluationQueue {
  readonly #intervalSteps: number;
  readonly #versionsAt: (step: number) => Versions;
  readonly #evaluate: (versions: Versions) => Promise<Evaluation | null>;
  readonly #onEvaluation: (evaluation: Evaluation) => void;
  readonly #onFailure: (step: number, error: unknown) => void;
  readonly #onFirstSkip: (step: number) => void;
  #step = Number.POSITIVE_INFINITY;
  #askedUpTo = 0;
  #waiting = 0;
  #working: Promise<void> = Promise.resolve();
  #done = 0;
  #skipped = 0;

  constructor(options: {
    readonly intervalSteps: number;
    readonly versionsAt: (step: number) => Versions;
    /** Null when a replica no longer has its weights of that step. */
    readonly evaluate: (versions: Versions) => Promise<Evaluation | null>;
    readonly onEvaluation: (evaluation: Evaluation) => void;
    readonly onFailure: (step: number, error: unknown) => void;
    readonly onFirstSkip: (step: number) => void;
  }) {
    this.#intervalSteps = options.intervalSteps;
    this.#versionsAt = options.versionsAt;
    this.#evaluate = options.evaluate;
    this.#onEvaluation = options.onEvaluation;
    this.#onFailure = options.onFailure;
    this.#onFirstSkip = options.onFirstSkip;
  }

  get totals(): { readonly done: number; readonly skipped: number } {
    return { done: this.#done, skipped: this.#skipped };
  }

  /** All replicas that train have done `step` steps: asks for what is due since the last time. */
  reached(step: number): void {
    if (step === this.#step) return;
    // A run that is resumed asks for nothing of its life before; one that went back asks again.
    if (step < this.#step) this.#askedUpTo = step - 1 - ((step - 1) % this.#intervalSteps);
    this.#step = step;
    while (this.#askedUpTo + this.#intervalSteps <= step) {
      this.#askedUpTo += this.#intervalSteps;
      this.#ask(this.#askedUpTo);
    }
  }

  /** Resolves when nothing waits. */
  async settled(): Promise<void> {
    await this.#working;
  }

  #ask(step: number): void {
    if (this.#waiting >= WAITING_MAX) {
      this.#skip(step);
      return;
    }
    this.#waiting++;
    const versions = this.#versionsAt(step);
    this.#working = this.#working
      .then(async () => this.#take(step, await this.#evaluate(versions)))
      .catch((error: unknown) => {
        this.#skipped++;
        this.#onFailure(step, error);
      })
      .finally(() => {
        this.#waiting--;
      });
  }

  #take(step: number, evaluation: Evaluation | null): void {
    if (evaluation === null) {
      this.#skip(step);
      return;
    }
    this.#done++;
    this.#onEvaluation(evaluation);
  }

  #skip(step: number): void {
    this.#skipped++;
    if (this.#skipped === 1) this.#onFirstSkip(step);
  }
}
