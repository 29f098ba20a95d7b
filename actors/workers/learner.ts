import type { StateCopy } from '../exchange/state-copy.ts';
import type { StepInput, StepOutputs, Student } from '../student.ts';

/** How a training step changes a replica's weights: by one Trainer alone, or by several together. */
export interface Learner {
  /** Bytes given to other workers and taken from them. */
  readonly bytes: number;
  /** The step that comes next, where training stands at `step` by the Trainer's own account. */
  begin(step: number): Promise<number>;
  /** Takes a step; undefined when it didn't come about because of `leave`. */
  step(input: StepInput): Promise<LearnedStep | undefined>;
  /** After the last step; the result is an earlier one when some must be taken again. */
  finish(step: number): Promise<number>;
  /** Waits for nobody any more. */
  leave(): void;
  /** Beside the student's own state. */
  checkpoint(): StateCopy;
}

export interface LearnedStep {
  /** None when the others went on without what this Trainer learned. */
  readonly outputs: StepOutputs | undefined;
  /** The step that comes next. */
  readonly next: number;
}

/** What a Trainer carries from batch to batch beside weights: recurrent states, and the count of its steps. */
export interface CarriedState {
  read(): Promise<StateCopy>;
  restore(carried: StateCopy): void;
}

/** A Trainer that has its replica to itself. */
export class SoloLearner implements Learner {
  readonly bytes = 0;
  readonly #student: Student;

  constructor(student: Student) {
    this.#student = student;
  }

  async begin(step: number): Promise<number> {
    return step;
  }

  async step(input: StepInput): Promise<LearnedStep> {
    return { outputs: await this.#student.run(input), next: input.step + 1 };
  }

  async finish(step: number): Promise<number> {
    return step;
  }

  leave(): void {}

  checkpoint(): StateCopy {
    return {};
  }
}
