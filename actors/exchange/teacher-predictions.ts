import type { TensorData } from '../../compiler/index.ts';
import { delay, type Handle, withCallOptions } from '../../runtime/index.ts';
import { type Patience, retry } from '../retry.ts';
import type { TeacherSnapshot } from './teacher-snapshot.ts';
import type { Weights } from './weight-delta.ts';

/** How long a version that a snapshot has lost in a restart is waited for, again and again. */
const RESENT_MS = 100;

/**
 * What a student's teachers say of its batches, asked of their snapshots. The teachers' recurrent states go along with
 * the student, which has them in its checkpoint.
 */
export class TeacherPredictions {
  readonly #teachers: readonly Handle<TeacherSnapshot>[];
  readonly #logitCounts: readonly number[];
  readonly #patience: Patience;
  readonly #signal: AbortSignal;
  #recurrentStates: readonly Weights[];

  constructor(options: {
    readonly teachers: readonly Handle<TeacherSnapshot>[];
    /** Of one batch, for each teacher. */
    readonly logitCounts: readonly number[];
    readonly patience: Patience;
    readonly signal: AbortSignal;
    /** From a checkpoint; none at first. */
    readonly recurrentStates: readonly Weights[];
  }) {
    const { signal } = options;
    this.#teachers = options.teachers.map((teacher) => withCallOptions(teacher, { signal }));
    this.#logitCounts = options.logitCounts;
    this.#patience = options.patience;
    this.#signal = signal;
    this.#recurrentStates = options.recurrentStates;
  }

  /** For the checkpoint. */
  get recurrentStates(): readonly Weights[] {
    return this.#recurrentStates;
  }

  /** `teacher<j>.logits` of each teacher that counts, at least of these versions; zeros of the others. */
  async of(
    columns: Readonly<Record<string, TensorData>>,
    versions: readonly number[],
    shares: readonly number[],
  ): Promise<Readonly<Record<string, Float32Array>>> {
    const { targets: _, ...inputs } = columns;
    const answers = await Promise.all(
      this.#teachers.map(async (_, teacher) =>
        shares[teacher] === 0
          ? undefined
          : await this.#ask(teacher, versions[teacher] as number, inputs),
      ),
    );
    this.#recurrentStates = answers.map(
      (answer, teacher) => answer?.recurrentState ?? this.#recurrentStates[teacher] ?? {},
    );
    return Object.fromEntries(
      answers.map((answer, teacher) => [
        `teacher${teacher}.logits`,
        answer?.logits ?? new Float32Array(this.#logitCounts[teacher] as number),
      ]),
    );
  }

  async #ask(teacher: number, version: number, columns: Readonly<Record<string, TensorData>>) {
    const snapshot = this.#teachers[teacher] as Handle<TeacherSnapshot>;
    const recurrentState = this.#recurrentStates[teacher] ?? {};
    for (;;) {
      const answer = await retry(() => snapshot.predict(version, columns, recurrentState), {
        ...this.#patience,
        what: 'ask a teacher for its predictions',
        signal: this.#signal,
      });
      if (answer !== null) return answer;
      await delay(this.#patience.clock, RESENT_MS, this.#signal);
    }
  }
}
