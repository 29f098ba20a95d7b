import type { StateCopy } from '../exchange/state-copy.ts';
import type { DeltaCodec } from '../exchange/tensor-delta.ts';
import type { StepInput, StepOutputs, Student } from '../student.ts';
import { GradientEncoder } from './gradient-coding.ts';
import type { LearnedStep, Learner } from './learner.ts';
import type { Update } from './parameter-server.ts';
import type { ServerLink } from './server-link.ts';

/** Steps whose recurrent state is kept for a server that goes back to its checkpoint. */
const KEPT_STEPS_MAX = 3;

/**
 * One of several workers that share each update: gives its gradients to the replica's parameter server and takes the
 * new weights. Synchronous workers count steps by the server's updates, asynchronous ones for themselves.
 */
export class SharedLearner implements Learner {
  readonly #student: Student;
  readonly #link: ServerLink;
  readonly #encoder: GradientEncoder;
  readonly #synchronous: boolean;
  readonly #keepInterval: number;
  readonly #kept = new Map<number, StateCopy>();
  #version = 0;

  constructor(options: {
    readonly student: Student;
    readonly link: ServerLink;
    readonly codec: DeltaCodec;
    readonly synchronous: boolean;
    /** Updates between two checkpoints of the server. */
    readonly keepInterval: number;
    /** From a checkpoint. */
    readonly rest: StateCopy;
  }) {
    const { student, codec, rest } = options;
    this.#student = student;
    this.#link = options.link;
    this.#synchronous = options.synchronous;
    this.#keepInterval = options.keepInterval;
    this.#encoder = new GradientEncoder({ codec, shapes: student.parameterShapes, rest });
  }

  get bytes(): number {
    return this.#link.bytes;
  }

  async begin(step: number): Promise<number> {
    return await this.#take(await this.#link.join(), step);
  }

  async step(input: StepInput): Promise<LearnedStep | undefined> {
    const { step } = input;
    const carried = await this.#student.carried();
    if (step % this.#keepInterval === 0) this.#keep(step, carried);
    const { gradients, statistics, measures } = await this.#student.gradients(input);
    const version = this.#version;
    const update = await this.#link.contribute({
      version,
      step,
      gradients: this.#encoder.encode(gradients),
      statistics,
      measures,
    });
    if (update === undefined) {
      this.#student.restoreCarried(carried);
      return undefined;
    }
    this.#encoder.accepted();
    const next = await this.#take(update, step + 1);
    return { outputs: update.measures && outputsOf(update.measures), next };
  }

  async finish(step: number): Promise<number> {
    return step;
  }

  leave(): void {
    this.#link.leave();
  }

  checkpoint(): StateCopy {
    return this.#encoder.rest;
  }

  /** Takes over the server's weights; the result is the step that follows when `step` was expected. */
  async #take({ version, weights }: Update, step: number): Promise<number> {
    this.#student.loadWeights(weights);
    this.#version = version;
    if (!this.#synchronous || version === step) return step;
    // This worker was too slow, or it or the server restarted: it joins where the others are.
    const carried = this.#kept.get(version) ?? (await this.#student.carried());
    this.#student.restoreCarried({ ...carried, steps: Float32Array.of(version) });
    return version;
  }

  #keep(step: number, carried: StateCopy): void {
    this.#kept.delete(step);
    this.#kept.set(step, carried);
    const oldest = this.#kept.keys().next().value;
    if (this.#kept.size > KEPT_STEPS_MAX && oldest !== undefined) this.#kept.delete(oldest);
  }
}

function outputsOf(measures: Readonly<Record<string, number>>): StepOutputs {
  return {
    loss: measures.loss ?? Number.NaN,
    distillLoss: measures.distillLoss ?? Number.NaN,
    gradientNorm: measures.gradientNorm ?? Number.NaN,
    accuracy: measures.accuracy,
  };
}
