import { type ActorContext, type ActorDefinition, defineActor } from '../runtime/index.ts';
import { CheckpointSaver } from './checkpoint-saver.ts';
import type { StateCopy } from './exchange/state-copy.ts';
import {
  copyWeights,
  type VersionedWeights,
  weightsBytes,
  weightsSha256,
} from './exchange/weight-delta.ts';
import type { PublishedTotals } from './exchange/weight-publisher.ts';
import { StepReports } from './step-reports.ts';
import { Student } from './student.ts';
import type { TrainerOptions } from './trainer-options.ts';
import { noProgress, TrainingLoop, type TrainingProgress } from './training-loop.ts';
import type { StepReport, TrainingTotals } from './training-totals.ts';

/** What a replica's whole run came to. */
export interface TrainingSummary {
  readonly totals: TrainingTotals;
  readonly published: PublishedTotals;
  /** Of one full copy of the weights in f32. */
  readonly weightsBytes: number;
  readonly weightsSha256: string;
}

interface TrainerCheckpoint extends TrainingProgress {
  /** Weights, the optimizer's and recurrent states by their name in the compiled step. */
  readonly state: StateCopy;
}

/** Runs one replica, or a part of it: a training loop on its own shard, which others can ask for its weights. */
export class Trainer {
  readonly #context: ActorContext;
  readonly #options: TrainerOptions;
  readonly #student: Student;
  readonly #reports = new StepReports();
  /** Where the loop begins. */
  #from: TrainingProgress;
  #loop: TrainingLoop | undefined;
  #training: Promise<void> | undefined;
  #draining = false;

  constructor(context: ActorContext, options: TrainerOptions) {
    this.#context = context;
    this.#options = options;
    this.#student = new Student({
      ...options,
      firstLane: (options.membership?.worker ?? 0) * options.batch,
      teacherModels: options.teachers.map((teacher) => teacher.model),
      givesGradients:
        options.membership !== undefined && options.membership.workers.mode !== 'local',
    });
    this.#from = noProgress(options);
  }

  /**
   * Trains until the last step, unless it trains already, and yields the report of each step after `step`. Leaving
   * the stream doesn't stop the training: whoever lost the stream opens another.
   */
  async *train(step: number): AsyncGenerator<StepReport> {
    this.#training ??= this.#train().then(
      () => this.#reports.finish(),
      (error: unknown) => this.#reports.fail(error),
    );
    yield* this.#reports.after(step);
  }

  /** The student's weights as they are now, or as they were at the step of an evaluation: null when those are gone. */
  async weights(version: number | null): Promise<VersionedWeights | null> {
    if (version !== null) {
      const weights = this.#loop?.keptWeights.get(version);
      this.#loop?.makeWayForAnswer();
      return weights === undefined ? null : { version, weights };
    }
    await this.#student.weightsToHost();
    this.#loop?.makeWayForAnswer();
    return { version: this.#progress.step, weights: copyWeights(this.#student.weights()) };
  }

  async summary(): Promise<TrainingSummary> {
    await this.#student.weightsToHost();
    const weights = this.#student.weights();
    const { totals, exchange } = this.#progress;
    return {
      totals,
      published: exchange.published,
      weightsBytes: weightsBytes(weights),
      weightsSha256: weightsSha256(weights),
    };
  }

  /** Ends after the step that runs. */
  async drain(): Promise<void> {
    this.#draining = true;
    this.#loop?.leave();
    await this.#training;
  }

  async checkpoint(): Promise<TrainerCheckpoint> {
    // Before the state, whose reading may wait: the step that it is of.
    const progress = this.#progress;
    return { ...progress, state: await this.#student.checkpoint() };
  }

  restore({ state, ...progress }: TrainerCheckpoint): void {
    this.#student.restore(state);
    this.#from = progress;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.drain();
    await this.#student[Symbol.asyncDispose]();
  }

  get #progress(): TrainingProgress {
    return this.#loop?.progress ?? this.#from;
  }

  async #train(): Promise<void> {
    if (this.#draining) return;
    this.#loop = new TrainingLoop({
      clock: this.#context.clock,
      trainer: this.#options,
      student: this.#student,
      from: this.#from,
      saver: new CheckpointSaver({
        save: () => this.#context.saveCheckpoint(),
        intervalSteps: this.#options.checkpointIntervalSteps,
        savedAt: this.#from.step,
      }),
      onReport: (report) => this.#reports.push(report),
    });
    await this.#loop.run();
  }
}

export const trainer: ActorDefinition<TrainerOptions, Trainer> = defineActor({
  type: 'codistill/trainer',
  module: import.meta.url,
  methods: { train: 'stream', weights: 'idempotent', summary: 'idempotent' },
  create: (context, options: TrainerOptions) => new Trainer(context, options),
});
