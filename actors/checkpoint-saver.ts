/**
 * Saves an actor's checkpoints while its work goes on. A disk that takes longer than the interval gets fewer of them:
 * the work doesn't wait.
 */
export class CheckpointSaver {
  readonly #save: () => Promise<void>;
  readonly #intervalSteps: number;
  #savedAt: number;
  #saving: Promise<void> | undefined;
  #failure: { readonly error: unknown } | undefined;

  constructor(options: {
    /** Saves the state as it is when this is called. */
    readonly save: () => Promise<void>;
    readonly intervalSteps: number;
    /** The step of the checkpoint that the actor was restored from. */
    readonly savedAt: number;
  }) {
    this.#save = options.save;
    this.#intervalSteps = options.intervalSteps;
    this.#savedAt = options.savedAt;
  }

  get saving(): boolean {
    return this.#saving !== undefined;
  }

  /** Begins to save, where `step` is at the end of an interval and nothing is being saved. */
  saveIfDue(step: number): void {
    const due = step % this.#intervalSteps === 0 && step !== this.#savedAt;
    if (!due || this.saving) return;
    this.#savedAt = step;
    this.#saving = this.#save()
      .catch((error: unknown) => {
        this.#failure = { error };
      })
      .finally(() => {
        this.#saving = undefined;
      });
  }

  /** Saves the state as it is now, once nothing else is being saved. @throws what this attempt failed of. */
  async saveNow(): Promise<void> {
    await this.settled();
    await this.#save();
  }

  /** Resolves when nothing is being saved. */
  async settled(): Promise<void> {
    await this.#saving;
  }

  /** @throws what an attempt behind the work failed of. */
  throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }
}
