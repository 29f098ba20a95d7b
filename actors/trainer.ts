import { setImmediate } from 'node:timers/promises';
import type { Batch } from '../datasets/index.ts';
import {
  type ActorContext,
  type ActorDefinition,
  defineActor,
  delay,
  type Handle,
  withCallOptions,
} from '../runtime/index.ts';
import type { ModelConfig } from '../training/index.ts';
import { BatchReader } from './batch-reader.ts';
import type { DataShard } from './data-shard.ts';
import type { StateCopy } from './exchange/state-copy.ts';
import { TeacherPredictions } from './exchange/teacher-predictions.ts';
import type { TeacherSnapshot } from './exchange/teacher-snapshot.ts';
import type { DeltaCodec } from './exchange/tensor-delta.ts';
import {
  copyWeights,
  DeltaEncoder,
  type VersionedWeights,
  type Weights,
  weightsBytes,
  weightsSha256,
} from './exchange/weight-delta.ts';
import {
  type BeyondStaleness,
  type ExchangeMode,
  type ExchangeState,
  WeightExchange,
} from './exchange/weight-exchange.ts';
import type { PublishedTotals } from './exchange/weight-publisher.ts';
import { type Patience, retry } from './retry.ts';
import { StepReports } from './step-reports.ts';
import { Student, type StudentOptions } from './student.ts';
import { addStaleness, noTotals, type StepReport, type TrainingTotals } from './training-totals.ts';
import { type Learner, SoloLearner } from './workers/learner.ts';
import { LocalLearner } from './workers/local-learner.ts';
import type { ParameterServer } from './workers/parameter-server.ts';
import { ServerLink } from './workers/server-link.ts';
import { SharedLearner } from './workers/shared-learner.ts';
import { trainersOf, type WorkersPlan } from './workers/workers-plan.ts';

const SERVE_MS_MIN = 5;
const SERVE_SHARE = 0.1;
/** A pass over the data may take long. */
const COUNT_TIMEOUT_MS = 600_000;
/** How long an answer with weights may take to leave this process. */
const ANSWER_MS = 1000;

/** One of the other replicas, as this student meets it. */
export interface Teacher {
  readonly replica: string;
  readonly model: ModelConfig;
  readonly snapshot: Handle<TeacherSnapshot>;
  /** Of its whole training. */
  readonly steps: number;
}

/** The other workers of a replica that this Trainer doesn't train alone. */
export interface Membership {
  readonly workers: WorkersPlan;
  /** This one's number, from 0 on. */
  readonly worker: number;
  readonly server: Handle<ParameterServer>;
}

export interface TrainerOptions extends Omit<StudentOptions, 'teacherModels' | 'givesGradients'> {
  readonly steps: number;
  readonly exchangeMode: ExchangeMode;
  readonly beyondStaleness: BeyondStaleness;
  readonly exchangeIntervalSteps: number;
  readonly codec: DeltaCodec;
  readonly checkpointIntervalSteps: number;
  /** Batches read ahead at most. */
  readonly prefetchBatches: number;
  readonly data: Handle<DataShard>;
  /** Where this replica publishes; nowhere when it has no students. */
  readonly snapshot?: Handle<TeacherSnapshot>;
  readonly teachers: readonly Teacher[];
  readonly membership?: Membership;
  /** How long a restarting actor or a bus that is away is waited for. */
  readonly patienceMs: number;
}

/** What a replica's whole run came to. */
export interface TrainingSummary {
  readonly totals: TrainingTotals;
  readonly published: PublishedTotals;
  /** Of one full copy of the weights in f32. */
  readonly weightsBytes: number;
  readonly weightsSha256: string;
}

interface TrainerCheckpoint {
  readonly step: number;
  readonly exchange: ExchangeState;
  readonly encoderBase: VersionedWeights | null;
  readonly totals: TrainingTotals;
  /** Weights, the optimizer's and recurrent states by their name in the compiled step. */
  readonly state: StateCopy;
  /** Of teachers that predict elsewhere. */
  readonly teacherStates: readonly Weights[];
  /** What its part among several workers needs beside it. */
  readonly learner: StateCopy;
}

/**
 * Runs one replica: compiled step after compiled step on its own shard, with an exchange of weights in between.
 * The algorithm is that of Anil et al. 2018, section 2 (algorithm 1).
 */
export class Trainer {
  readonly #context: ActorContext;
  readonly #options: TrainerOptions;
  readonly #student: Student;
  readonly #reports = new StepReports();
  readonly #stop = new AbortController();
  #encoder: DeltaEncoder;
  #exchangeState: ExchangeState;
  #exchange: WeightExchange | undefined;
  #learnerState: StateCopy = {};
  #predictions: TeacherPredictions | undefined;
  #teacherStates: readonly Weights[] = [];
  #learner: Learner | undefined;
  #step = 0;
  #checkpointedAt = 0;
  #totals: TrainingTotals = noTotals;
  #saving: Promise<void> | undefined;
  #saveFailure: { readonly error: unknown } | undefined;
  #training: Promise<void> | undefined;
  #draining = false;
  /** Until then weights that were asked for may be on their way. */
  #answeringUntilMs = 0;

  constructor(context: ActorContext, options: TrainerOptions) {
    this.#context = context;
    this.#options = options;
    this.#student = new Student({
      ...options,
      teacherModels: options.teachers.map((teacher) => teacher.model),
      givesGradients:
        options.membership !== undefined && options.membership.workers.mode !== 'local',
    });
    this.#encoder = new DeltaEncoder({ codec: options.codec, shapes: this.#student.shapes });
    this.#exchangeState = {
      exchangedAt: -1,
      teacherVersions: options.teachers.map(() => -1),
      published: { count: 0, bytes: 0 },
    };
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

  /** The student's weights as they are now. */
  async weights(): Promise<VersionedWeights> {
    await this.#student.weightsToHost();
    this.#answeringUntilMs = this.#context.clock.now() + ANSWER_MS;
    return { version: this.#step, weights: copyWeights(this.#student.weights()) };
  }

  async summary(): Promise<TrainingSummary> {
    await this.#student.weightsToHost();
    const weights = this.#student.weights();
    return {
      totals: this.#totals,
      published: this.#exchangeNow().published,
      weightsBytes: weightsBytes(weights),
      weightsSha256: weightsSha256(weights),
    };
  }

  /** Ends after the step that runs. */
  async drain(): Promise<void> {
    this.#draining = true;
    this.#learner?.leave();
    this.#stop.abort();
    await this.#training;
  }

  async checkpoint(): Promise<TrainerCheckpoint> {
    return {
      step: this.#step,
      exchange: this.#exchangeNow(),
      encoderBase: this.#encoder.base ?? null,
      totals: this.#totals,
      state: await this.#student.checkpoint(),
      teacherStates: this.#predictions?.recurrentStates ?? this.#teacherStates,
      learner: this.#learner?.checkpoint() ?? this.#learnerState,
    };
  }

  restore(checkpoint: TrainerCheckpoint): void {
    this.#student.restore(checkpoint.state);
    this.#step = checkpoint.step;
    this.#checkpointedAt = checkpoint.step;
    this.#totals = checkpoint.totals;
    this.#exchangeState = checkpoint.exchange;
    this.#teacherStates = checkpoint.teacherStates;
    this.#learnerState = checkpoint.learner;
    this.#encoder = new DeltaEncoder({
      codec: this.#options.codec,
      shapes: this.#student.shapes,
      base: checkpoint.encoderBase ?? undefined,
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#learner?.leave();
    this.#stop.abort();
    await this.#training;
    await this.#student[Symbol.asyncDispose]();
  }

  async #train(): Promise<void> {
    const { patienceMs, steps, exchangeIntervalSteps } = this.#options;
    const patience = { clock: this.#context.clock, patienceMs };
    const learner = this.#openLearner(patience);
    this.#learner = learner;
    const exchange = this.#openExchange(patience);
    this.#exchange = exchange;
    this.#predictions = this.#openPredictions(patience);
    try {
      this.#step = await learner.begin(this.#step);
      let reader = this.#openReader(patience);
      if (this.#step > 0) await exchange.resume();
      else await this.#countClasses(patience);
      while (!this.#draining) {
        if (this.#step >= steps) {
          this.#step = await learner.finish(this.#step);
          if (this.#step >= steps) break;
        }
        if (reader.cursor !== this.#step) {
          reader.close();
          reader = this.#openReader(patience);
        }
        await this.#timed('exchangeMs', async () => {
          if (this.#step % exchangeIntervalSteps === 0) await this.#student.weightsToHost();
          await exchange.beforeStep(this.#step, () => this.#student.weights());
        });
        this.#checkpointIfDue();
        const batch = await this.#timed('dataMs', () => reader.next());
        if (!(await this.#trainStep(learner, exchange, batch))) break;
      }
      if (!this.#draining) {
        await this.#student.weightsToHost();
        await exchange.afterTraining(steps, () => this.#student.weights());
      }
      await this.#saving;
      if (!this.#draining) await this.#saveCheckpoint();
    } catch (error) {
      if (!this.#draining) throw error;
    } finally {
      this.#stop.abort();
    }
  }

  /** A later life has the frequencies in its checkpoint. */
  async #countClasses(patience: Patience): Promise<void> {
    if (!this.#student.usesFrequencies) return;
    const { signal } = this.#stop;
    const data = withCallOptions(this.#options.data, { signal, timeoutMs: COUNT_TIMEOUT_MS });
    const count = () => data.frequencies(this.#student.classes);
    const frequencies = await retry(count, { ...patience, what: 'count classes', signal });
    this.#student.setFrequencies(frequencies);
  }

  /** Whether the step came about. */
  async #trainStep(learner: Learner, exchange: WeightExchange, batch: Batch): Promise<boolean> {
    const { rows } = this.#student;
    const teacherShares = exchange.teacherShares(this.#step);
    const teaches = teacherShares !== undefined;
    await this.#timed('compileMs', () => this.#student.prepare(teaches));
    const columns = await this.#timed('exchangeMs', () =>
      this.#withPredictions(batch.columns, exchange, teacherShares),
    );
    const startMs = this.#context.clock.now();
    const learned = await learner.step({ step: this.#step, columns, teacherShares });
    if (learned === undefined) return false;
    const { outputs, next } = learned;
    this.#step = next;
    if (outputs === undefined) return true;
    const computeMs = this.#context.clock.now() - startMs;
    const stalenessSteps = teaches ? exchange.stalenessSteps(next - 1) : null;
    this.#totals = {
      ...(stalenessSteps === null ? this.#totals : addStaleness(this.#totals, stalenessSteps)),
      rows: this.#totals.rows + rows,
      computeMs: this.#totals.computeMs + computeMs,
      workersBytes: learner.bytes,
    };
    this.#reports.push({
      step: next,
      loss: outputs.loss,
      distillLoss: teaches ? outputs.distillLoss : null,
      gradientNorm: outputs.gradientNorm,
      ...(outputs.accuracy !== undefined && { accuracy: outputs.accuracy }),
      stalenessSteps,
      rowsPerSecond: (rows * 1000) / Math.max(computeMs, 1e-3),
      bytesExchanged: exchange.state.published.bytes + learner.bytes,
    });
    await this.#serveOthers(computeMs);
    return true;
  }

  /**
   * A native step blocks this process, so others are heard only here. One turn of the event loop moves no more than a
   * socket's buffer (208 KB): while weights or a checkpoint are on their way it turns for up to a tenth of a step, or
   * 10 MB would take fifty steps and everything else would wait behind them.
   */
  async #serveOthers(computeMs: number): Promise<void> {
    const { clock } = this.#context;
    const until = clock.now() + Math.max(SERVE_MS_MIN, computeMs * SERVE_SHARE);
    await setImmediate();
    while (this.#transferring && clock.now() < until) await delay(clock, 1);
  }

  get #transferring(): boolean {
    const answering = this.#context.clock.now() < this.#answeringUntilMs;
    return answering || this.#saving !== undefined || this.#exchange?.transferring === true;
  }

  /** The batch, with what the teachers predict for it where the student doesn't run them itself. */
  async #withPredictions(
    columns: Batch['columns'],
    exchange: WeightExchange,
    shares: readonly number[] | undefined,
  ): Promise<Batch['columns']> {
    if (this.#predictions === undefined || shares === undefined) return columns;
    const { teacherVersions } = exchange.state;
    return { ...columns, ...(await this.#predictions.of(columns, teacherVersions, shares)) };
  }

  #openPredictions(patience: Patience): TeacherPredictions | undefined {
    const { carries, teachers } = this.#options;
    if (carries !== 'predictions' || teachers.length === 0) return undefined;
    return new TeacherPredictions({
      teachers: teachers.map(({ snapshot }) => snapshot),
      logitCounts: teachers.map(() => this.#student.rows * this.#student.classes),
      patience,
      signal: this.#stop.signal,
      recurrentStates: this.#teacherStates,
    });
  }

  #openExchange(patience: Patience): WeightExchange {
    const { exchangeMode, exchangeIntervalSteps, burnInSteps, snapshot, teachers } = this.#options;
    const { stalenessStepsMax, beyondStaleness } = this.#options;
    return new WeightExchange({
      mode: exchangeMode,
      intervalSteps: exchangeIntervalSteps,
      burnInSteps,
      ...(snapshot && { snapshot }),
      teachers,
      carries: this.#options.carries,
      stalenessStepsMax,
      beyondStaleness,
      encoder: this.#encoder,
      load: (teacher, weights) => this.#student.loadTeacher(teacher, weights),
      patience,
      signal: this.#stop.signal,
      resumed: this.#exchangeState,
    });
  }

  #openLearner(patience: Patience): Learner {
    const { membership, checkpointIntervalSteps } = this.#options;
    const student = this.#student;
    if (membership === undefined) return new SoloLearner(student);
    const { server, worker, workers } = membership;
    const link = new ServerLink({ server, worker, patience, bytes: this.#totals.workersBytes });
    const { codec } = workers;
    if (workers.mode === 'local') {
      const { localSteps } = workers;
      const checkpoint = this.#learnerState;
      return new LocalLearner({ student, link, codec, localSteps, checkpoint });
    }
    return new SharedLearner({
      student,
      link,
      codec,
      synchronous: workers.mode === 'synchronous',
      keepInterval: checkpointIntervalSteps,
      rest: this.#learnerState,
    });
  }

  #openReader(patience: Patience): BatchReader {
    const { data, prefetchBatches, membership } = this.#options;
    return new BatchReader({
      shard: data,
      columns: this.#student.columns,
      ...(membership && {
        part: { index: membership.worker, of: trainersOf(membership.workers) },
      }),
      // One batch a step, so the cursor is the step.
      fromCursor: this.#step,
      batchesMax: prefetchBatches,
      patience,
      signal: this.#stop.signal,
    });
  }

  #exchangeNow(): ExchangeState {
    return this.#exchange?.state ?? this.#exchangeState;
  }

  #checkpointIfDue(): void {
    const due = this.#step % this.#options.checkpointIntervalSteps === 0;
    if (!due || this.#checkpointedAt === this.#step) return;
    if (this.#saveFailure !== undefined) throw this.#saveFailure.error;
    // A disk that takes longer than the interval gets fewer checkpoints: training doesn't wait for it.
    if (this.#saving !== undefined) return;
    this.#saving = this.#saveCheckpoint()
      .catch((error: unknown) => {
        this.#saveFailure = { error };
      })
      .finally(() => {
        this.#saving = undefined;
      });
  }

  async #saveCheckpoint(): Promise<void> {
    this.#checkpointedAt = this.#step;
    await this.#context.saveCheckpoint();
  }

  async #timed<T>(
    total: 'dataMs' | 'exchangeMs' | 'compileMs',
    work: () => Promise<T>,
  ): Promise<T> {
    const startMs = this.#context.clock.now();
    try {
      return await work();
    } finally {
      const tookMs = this.#context.clock.now() - startMs;
      this.#totals = { ...this.#totals, [total]: this.#totals[total] + tookMs };
    }
  }
}

export const trainer: ActorDefinition<TrainerOptions, Trainer> = defineActor({
  type: 'codistill/trainer',
  module: import.meta.url,
  methods: { train: 'stream', weights: 'idempotent', summary: 'idempotent' },
  create: (context, options: TrainerOptions) => new Trainer(context, options),
});
