import type { TensorData } from '../../compiler/index.ts';
import { delay, type Handle, withCallOptions } from '../../runtime/index.ts';
import { entriesUnder, placeUnder } from '../../training/index.ts';
import type { PredictionAnswer } from '../predictor.ts';
import { type Patience, retry } from '../retry.ts';
import type { StateCopy } from './state-copy.ts';
import type { TeacherSnapshot } from './teacher-snapshot.ts';
import { type Weights, weightsBytes } from './weight-delta.ts';

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
  /** As they were before the last batch. */
  #statesBefore: readonly Weights[];
  #bytes: number;

  constructor(options: {
    readonly teachers: readonly Handle<TeacherSnapshot>[];
    /** Of one batch, for each teacher. */
    readonly logitCounts: readonly number[];
    readonly patience: Patience;
    readonly signal: AbortSignal;
    /** What `carried` said, in a checkpoint; empty at first. */
    readonly carried: StateCopy;
    /** So far, from a checkpoint. */
    readonly bytes: number;
  }) {
    const { signal } = options;
    this.#teachers = options.teachers.map((teacher) => withCallOptions(teacher, { signal }));
    this.#logitCounts = options.logitCounts;
    this.#patience = options.patience;
    this.#signal = signal;
    this.#bytes = options.bytes;
    this.#recurrentStates = this.#statesIn(options.carried);
    this.#statesBefore = this.#recurrentStates;
  }

  /** Asked and answered, recurrent states included. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The teachers' recurrent states: `asked<teacher>/<name>`. */
  get carried(): StateCopy {
    const states = this.#recurrentStates.map((state, teacher) =>
      placeUnder(`asked${teacher}`, state),
    );
    return Object.assign({}, ...states);
  }

  restoreCarried(carried: StateCopy): void {
    this.#recurrentStates = this.#statesIn(carried);
  }

  /** The step with the last batch didn't come about: its batch is asked for again. */
  takeBack(): void {
    this.#recurrentStates = this.#statesBefore;
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
    this.#statesBefore = this.#recurrentStates;
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

  #statesIn(carried: StateCopy): readonly Weights[] {
    return this.#teachers.map((_, teacher) => entriesUnder(carried, `asked${teacher}`));
  }

  async #ask(
    teacher: number,
    version: number,
    columns: Readonly<Record<string, TensorData>>,
  ): Promise<PredictionAnswer> {
    const snapshot = this.#teachers[teacher] as Handle<TeacherSnapshot>;
    const recurrentState = this.#recurrentStates[teacher] ?? {};
    const asked = Object.values(columns).reduce((bytes, { byteLength }) => bytes + byteLength, 0);
    for (;;) {
      const answer = await retry(() => snapshot.predict(version, columns, recurrentState), {
        ...this.#patience,
        what: 'ask a teacher for its predictions',
        signal: this.#signal,
      });
      if (answer !== null) {
        const states = weightsBytes(recurrentState) + weightsBytes(answer.recurrentState);
        this.#bytes += asked + answer.logits.byteLength + states;
        return answer;
      }
      await delay(this.#patience.clock, RESENT_MS, this.#signal);
    }
  }
}
