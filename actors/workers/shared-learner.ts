import type { StateCopy } from '../exchange/state-copy.ts';
import type { DeltaCodec } from '../exchange/tensor-delta.ts';
import type { StepInput, StepOutputs, Student } from '../student.ts';
import { GradientEncoder } from './gradient-coding.ts';
import type { Update } from './gradient-receiver.ts';
import type { CarriedState, LearnedStep, Learner } from './learner.ts';
import type { ServerLink } from './server-link.ts';

/**
 * One of several workers that share each update: gives its gradients to the replica's parameter server and takes the
 * new weights. Synchronous workers count steps by the server's updates, asynchronous ones for themselves. The server
 * also keeps what a synchronous worker carries from batch to batch, so that a worker that restarts, or follows a server
 * that does, goes on exactly where the others are.
 */
export class SharedLearner implements Learner {
  readonly #student: Student;
  readonly #link: ServerLink;
  readonly #encoder: GradientEncoder;
  readonly #synchronous: boolean;
  readonly #carried: CarriedState;
  #version = 0;

  constructor(options: {
    readonly student: Student;
    readonly link: ServerLink;
    readonly codec: DeltaCodec;
    readonly synchronous: boolean;
    readonly carried: CarriedState;
    /** From a checkpoint. */
    readonly rest: StateCopy;
  }) {
    const { student, codec, rest } = options;
    this.#student = student;
    this.#link = options.link;
    this.#synchronous = options.synchronous;
    this.#carried = options.carried;
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
    const before = await this.#student.carried();
    const { gradients, statistics, measures } = await this.#student.gradients(input);
    const version = this.#version;
    const update = await this.#link.contribute({
      version,
      step,
      gradients: this.#encoder.encode(gradients),
      statistics,
      measures,
      ...(this.#synchronous && { carried: await this.#carried.read() }),
    });
    if (update === undefined) {
      this.#student.restoreCarried(before);
      return undefined;
    }
    if (update.measures !== undefined) this.#encoder.accepted();
    const next = await this.#take(update, step + 1);
    // A worker that always comes too late still tells how the replica does.
    const shown = update.measures ?? update.latestMeasures;
    return { outputs: shown && outputsOf(shown), next };
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
  async #take({ version, weights, carried }: Update, step: number): Promise<number> {
    this.#student.loadWeights(weights);
    this.#version = version;
    if (!this.#synchronous || version === step) return step;
    // This worker was too slow, or it or the server restarted: it joins where the others are.
    this.#carried.restore(carried ?? (await this.#carriedTo(version)));
    return version;
  }

  /** What the server doesn't know: of the first step, and of a batch that the others went on without. */
  async #carriedTo(version: number): Promise<StateCopy> {
    const carried = await this.#carried.read();
    const steps = Float32Array.of(version);
    if (version > 0) return { ...carried, steps };
    const empty = Object.entries(carried).map(([name, values]) => [
      name,
      new Float32Array(values.length),
    ]);
    return { ...Object.fromEntries(empty), steps };
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
