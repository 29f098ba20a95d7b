import { entriesUnder, placeUnder } from '../../training/index.ts';
import type { StateCopy } from '../exchange/state-copy.ts';
import { changesOf, type DeltaCodec } from '../exchange/tensor-delta.ts';
import { copyWeights, type Weights } from '../exchange/weight-delta.ts';
import type { StepInput, Student } from '../student.ts';
import { GradientEncoder } from './gradient-coding.ts';
import type { Update } from './gradient-receiver.ts';
import type { LearnedStep, Learner } from './learner.ts';
import type { ServerLink } from './server-link.ts';

const START = 'start';
const REST = 'rest';

/**
 * One of several workers that train by themselves for some steps, give what their weights have changed by, and go on
 * from what the replica's parameter server makes of it (DiLoCo, Douillard et al. 2023, algorithm 1).
 */
export class LocalLearner implements Learner {
  readonly #student: Student;
  readonly #link: ServerLink;
  readonly #encoder: GradientEncoder;
  readonly #localSteps: number;
  /** The server's weights that this round began with. */
  #start: Weights | undefined;
  #version = 0;
  #givenAt = 0;

  constructor(options: {
    readonly student: Student;
    readonly link: ServerLink;
    readonly codec: DeltaCodec;
    readonly localSteps: number;
    /** From a checkpoint. */
    readonly checkpoint: StateCopy;
  }) {
    const { student, codec, checkpoint } = options;
    this.#student = student;
    this.#link = options.link;
    this.#localSteps = options.localSteps;
    const rest = entriesUnder(checkpoint, REST);
    this.#encoder = new GradientEncoder({ codec, shapes: student.parameterShapes, rest });
    const start = entriesUnder(checkpoint, START);
    if (Object.keys(start).length > 0) this.#start = start;
    this.#givenAt = checkpoint.givenAt?.[0] ?? 0;
    this.#version = checkpoint.version?.[0] ?? 0;
  }

  get bytes(): number {
    return this.#link.bytes;
  }

  async begin(step: number): Promise<number> {
    const update = await this.#link.join();
    // In the middle of a round its own weights count; the server's come at the end of it.
    if (this.#start !== undefined && update.version === this.#version) return step;
    return this.#take(update);
  }

  async step(input: StepInput): Promise<LearnedStep | undefined> {
    const { step } = input;
    if (step % this.#localSteps === 0 && step !== this.#givenAt) {
      const next = await this.#endRound(step);
      if (next !== step) return next === undefined ? undefined : { outputs: undefined, next };
    }
    return { outputs: await this.#student.run(input), next: step + 1 };
  }

  async finish(step: number): Promise<number> {
    if (step === this.#givenAt) return step;
    const next = await this.#endRound(step);
    // The last round may be a short one.
    return next === undefined || next > step ? step : next;
  }

  leave(): void {
    this.#link.leave();
  }

  checkpoint(): StateCopy {
    return {
      ...placeUnder(START, this.#start ?? {}),
      ...placeUnder(REST, this.#encoder.rest),
      givenAt: Float32Array.of(this.#givenAt),
      version: Float32Array.of(this.#version),
    };
  }

  /** The step that follows this round: `step`, unless the others are elsewhere. Undefined: this worker left before. */
  async #endRound(step: number): Promise<number | undefined> {
    await this.#student.weightsToHost();
    const weights = this.#student.weights();
    const start = this.#start as Weights;
    const changes: Record<string, Float32Array> = {};
    const statistics: Record<string, Float32Array> = {};
    for (const [name, values] of Object.entries(weights)) {
      if (name in this.#student.parameterShapes) changes[name] = changesOf(start[name]!, values);
      else statistics[name] = values.slice();
    }
    const gradients = this.#encoder.encode(changes);
    const share = { version: this.#version, step, gradients, statistics, measures: {} };
    const update = await this.#link.contribute(share);
    if (update === undefined) return undefined;
    this.#encoder.accepted();
    return this.#take(update);
  }

  /** All workers take as many rounds, so their number says the step. */
  #take({ version, weights }: Update): number {
    this.#student.loadWeights(weights);
    this.#start = copyWeights(weights);
    this.#version = version;
    this.#givenAt = version * this.#localSteps;
    return this.#givenAt;
  }
}
