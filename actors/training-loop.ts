import { setImmediate } from 'node:timers/promises';
import type { Batch } from '../datasets/index.ts';
import { type Clock, delay, withCallOptions } from '../runtime/index.ts';
import { BatchReader } from './batch-reader.ts';
import type { CheckpointSaver } from './checkpoint-saver.ts';
import type { StateCopy } from './exchange/state-copy.ts';
import { TeacherPredictions } from './exchange/teacher-predictions.ts';
import { DeltaEncoder, type VersionedWeights } from './exchange/weight-delta.ts';
import { type ExchangeState, WeightExchange } from './exchange/weight-exchange.ts';
import { KeptWeights } from './kept-weights.ts';
import { type Patience, retry } from './retry.ts';
import type { Student } from './student.ts';
import type { TrainerOptions } from './trainer-options.ts';
import { addStaleness, noTotals, type StepReport, type TrainingTotals } from './training-totals.ts';
import type { LearnedStep, Learner } from './workers/learner.ts';
import { openLearner } from './workers/open-learner.ts';
import { tellsOfSteps, trainersOf } from './workers/workers-plan.ts';

const SERVE_MS_MIN = 5;
const SERVE_SHARE = 0.1;
/** A pass over the data may take long. */
const COUNT_TIMEOUT_MS = 600_000;
/** How long an answer with weights may take to leave this process. */
const ANSWER_MS = 1000;

/** Where training stands, but for what the student's compiled step keeps. */
export interface TrainingProgress {
  readonly step: number;
  readonly exchange: ExchangeState;
  readonly encoderBase: VersionedWeights | null;
  readonly totals: TrainingTotals;
  /** Recurrent states of teachers that predict elsewhere. */
  readonly asked: StateCopy;
  /** What its part among several workers needs beside it. */
  readonly learner: StateCopy;
}

export function noProgress({ teachers }: Pick<TrainerOptions, 'teachers'>): TrainingProgress {
  return {
    step: 0,
    exchange: {
      exchangedAt: -1,
      teacherVersions: teachers.map(() => -1),
      published: { count: 0, bytes: 0 },
    },
    encoderBase: null,
    totals: noTotals,
    asked: {},
    learner: {},
  };
}

/**
 * Step after step until the last one: batch, teachers, step, exchange. The algorithm is that of Anil et al. 2018,
 * section 2 (algorithm 1).
 */
export class TrainingLoop {
  readonly keptWeights: KeptWeights = new KeptWeights();
  readonly #clock: Clock;
  readonly #options: TrainerOptions;
  readonly #student: Student;
  readonly #saver: CheckpointSaver;
  readonly #onReport: (report: StepReport) => void;
  readonly #patience: Patience;
  readonly #stop = new AbortController();
  readonly #encoder: DeltaEncoder;
  readonly #exchange: WeightExchange;
  readonly #predictions: TeacherPredictions | undefined;
  readonly #learner: Learner;
  #step: number;
  #totals: TrainingTotals;
  #leaving = false;
  /** Until then weights that were asked for may be on their way. */
  #answeringUntilMs = 0;

  constructor(options: {
    readonly clock: Clock;
    readonly trainer: TrainerOptions;
    readonly student: Student;
    readonly from: TrainingProgress;
    readonly saver: CheckpointSaver;
    readonly onReport: (report: StepReport) => void;
  }) {
    const { clock, trainer, student, from, saver, onReport } = options;
    this.#clock = clock;
    this.#options = trainer;
    this.#student = student;
    this.#saver = saver;
    this.#onReport = onReport;
    this.#patience = { clock, patienceMs: trainer.patienceMs };
    this.#step = from.step;
    this.#totals = from.totals;
    this.#encoder = new DeltaEncoder({
      codec: trainer.codec,
      shapes: student.shapes,
      base: from.encoderBase ?? undefined,
    });
    this.#exchange = this.#openExchange(from.exchange);
    this.#predictions = this.#openPredictions(from);
    this.#learner = openLearner({
      student,
      membership: trainer.membership,
      carried: {
        read: async () => ({ ...(await student.carried()), ...this.#predictions?.carried }),
        restore: (carried) => {
          student.restoreCarried(carried);
          this.#predictions?.restoreCarried(carried);
        },
      },
      patience: this.#patience,
      checkpoint: from.learner,
      bytes: from.totals.workersBytes,
    });
  }

  get progress(): TrainingProgress {
    return {
      step: this.#step,
      exchange: this.#exchange.state,
      encoderBase: this.#encoder.base ?? null,
      totals: this.#totals,
      asked: this.#predictions?.carried ?? {},
      learner: this.#learner.checkpoint(),
    };
  }

  /** Weights that somebody asked for are about to leave this process. */
  makeWayForAnswer(): void {
    this.#answeringUntilMs = this.#clock.now() + ANSWER_MS;
  }

  /** Ends `run` after the step that is under way. */
  leave(): void {
    this.#leaving = true;
    this.#learner.leave();
    this.#stop.abort();
  }

  /** Trains to the last step and saves a checkpoint there, or returns early after `leave`. */
  async run(): Promise<void> {
    const { steps } = this.#options;
    try {
      // A later life has the frequencies in its checkpoint.
      if (this.#step === 0) await this.#countClasses();
      this.#step = await this.#learner.begin(this.#step);
      let reader = this.#openReader();
      if (this.#step > 0) {
        await this.#student.weightsToHost();
        await this.#exchange.resume(this.#step, this.#student.weights());
      }
      while (!this.#leaving) {
        if (this.#step >= steps) {
          const next = await this.#learner.finish(this.#step);
          if (next >= steps) break;
          await this.#goOnAt(next);
        }
        if (reader.cursor !== this.#step) {
          reader.close();
          reader = this.#openReader();
        }
        await this.#timed('exchangeMs', () => this.#exchangeIfDue());
        this.#saver.throwFailure();
        this.#saver.saveIfDue(this.#step);
        const batch = await this.#timed('dataMs', () => reader.next());
        if (!(await this.#trainStep(batch))) break;
      }
      if (!this.#leaving) {
        await this.#student.weightsToHost();
        await this.#exchange.afterTraining(steps, () => this.#student.weights());
      }
      if (this.#leaving) await this.#saver.settled();
      else await this.#saver.saveNow();
    } catch (error) {
      if (!this.#leaving) throw error;
    } finally {
      this.#stop.abort();
    }
  }

  async #exchangeIfDue(): Promise<void> {
    if (this.#step % this.#options.exchangeIntervalSteps === 0) {
      await this.#student.weightsToHost();
    }
    await this.#exchange.beforeStep(this.#step, () => this.#student.weights());
  }

  async #countClasses(): Promise<void> {
    if (!this.#student.usesFrequencies) return;
    const { signal } = this.#stop;
    const data = withCallOptions(this.#options.data, { signal, timeoutMs: COUNT_TIMEOUT_MS });
    const count = () => data.frequencies(this.#student.classes);
    const frequencies = await retry(count, { ...this.#patience, what: 'count classes', signal });
    this.#student.setFrequencies(frequencies);
  }

  /** Whether the step came about. */
  async #trainStep(batch: Batch): Promise<boolean> {
    const teacherShares = this.#exchange.teacherShares(this.#step);
    await this.#timed('compileMs', () => this.#student.prepare(teacherShares !== undefined));
    const columns = await this.#timed('exchangeMs', () =>
      this.#withPredictions(batch.columns, teacherShares),
    );
    const startMs = this.#clock.now();
    const learned = await this.#learner.step({ step: this.#step, columns, teacherShares });
    if (learned === undefined) {
      this.#predictions?.takeBack();
      return false;
    }
    const computeMs = this.#clock.now() - startMs;
    if (learned.next === this.#step + 1) this.#step = learned.next;
    else await this.#goOnAt(learned.next);
    await this.#keepWeightsIfDue();
    this.#report(learned, computeMs, teacherShares !== undefined);
    await this.#serveOthers(computeMs);
    return true;
  }

  async #keepWeightsIfDue(): Promise<void> {
    const { evaluationIntervalSteps, steps, membership } = this.#options;
    if (this.#step % evaluationIntervalSteps !== 0 || this.#step === steps) return;
    if (membership !== undefined && !tellsOfSteps(membership.workers, membership.worker)) return;
    await this.#student.weightsToHost();
    this.keptWeights.keep(this.#step, this.#student.weights());
  }

  /** Where the other workers are. */
  async #goOnAt(step: number): Promise<void> {
    this.#step = step;
    await this.#student.weightsToHost();
    await this.#exchange.moveTo(step, this.#student.weights());
  }

  #report({ outputs, next }: LearnedStep, computeMs: number, teaches: boolean): void {
    if (outputs === undefined) return;
    const { rows } = this.#student;
    const stalenessSteps = teaches ? this.#exchange.stalenessSteps(next - 1) : null;
    this.#totals = {
      ...(stalenessSteps === null ? this.#totals : addStaleness(this.#totals, stalenessSteps)),
      rows: this.#totals.rows + rows,
      computeMs: this.#totals.computeMs + computeMs,
      workersBytes: this.#learner.bytes,
      predictionsBytes: this.#predictions?.bytes ?? 0,
    };
    this.#onReport({
      step: next,
      loss: outputs.loss,
      distillLoss: teaches ? outputs.distillLoss : null,
      gradientNorm: outputs.gradientNorm,
      ...(outputs.accuracy !== undefined && { accuracy: outputs.accuracy }),
      stalenessSteps,
      rowsPerSecond: (rows * 1000) / Math.max(computeMs, 1e-3),
      bytesExchanged:
        this.#exchange.state.published.bytes +
        this.#totals.workersBytes +
        this.#totals.predictionsBytes,
    });
  }

  /**
   * A native step blocks this process, so others are heard only here. One turn of the event loop moves no more than a
   * socket's buffer (208 KB): while weights or a checkpoint are on their way it turns for up to a tenth of a step, or
   * 10 MB would take fifty steps and everything else would wait behind them.
   */
  async #serveOthers(computeMs: number): Promise<void> {
    const until = this.#clock.now() + Math.max(SERVE_MS_MIN, computeMs * SERVE_SHARE);
    await setImmediate();
    while (this.#transferring && this.#clock.now() < until) await delay(this.#clock, 1);
  }

  get #transferring(): boolean {
    const answering = this.#clock.now() < this.#answeringUntilMs;
    return answering || this.#saver.saving || this.#exchange.transferring;
  }

  /** The batch, with what the teachers predict for it where the student doesn't run them itself. */
  async #withPredictions(
    columns: Batch['columns'],
    shares: readonly number[] | undefined,
  ): Promise<Batch['columns']> {
    if (this.#predictions === undefined || shares === undefined) return columns;
    const { teacherVersions } = this.#exchange.state;
    return { ...columns, ...(await this.#predictions.of(columns, teacherVersions, shares)) };
  }

  #openPredictions({ asked, totals }: TrainingProgress): TeacherPredictions | undefined {
    const { carries, teachers } = this.#options;
    if (carries !== 'predictions' || teachers.length === 0) return undefined;
    return new TeacherPredictions({
      teachers: teachers.map(({ snapshot }) => snapshot),
      logitCounts: teachers.map(() => this.#student.rows * this.#student.classes),
      patience: this.#patience,
      signal: this.#stop.signal,
      carried: asked,
      bytes: totals.predictionsBytes,
    });
  }

  #openExchange(resumed: ExchangeState): WeightExchange {
    const { exchangeMode, exchangeIntervalSteps, burnInSteps, snapshot, teachers } = this.#options;
    const { stalenessStepsMax, beyondStaleness, steps } = this.#options;
    return new WeightExchange({
      mode: exchangeMode,
      intervalSteps: exchangeIntervalSteps,
      burnInSteps,
      steps,
      ...(snapshot && { snapshot }),
      teachers,
      carries: this.#options.carries,
      stalenessStepsMax,
      beyondStaleness,
      // What the others go on from must not get lost with this worker. They give one another more in each step.
      awaitsDelivery: this.#options.membership !== undefined,
      encoder: this.#encoder,
      load: (teacher, weights) => this.#student.loadTeacher(teacher, weights),
      patience: this.#patience,
      signal: this.#stop.signal,
      resumed,
    });
  }

  #openReader(): BatchReader {
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
      patience: this.#patience,
      signal: this.#stop.signal,
    });
  }

  async #timed<T>(
    total: 'dataMs' | 'exchangeMs' | 'compileMs',
    work: () => Promise<T>,
  ): Promise<T> {
    const startMs = this.#clock.now();
    try {
      return await work();
    } finally {
      const tookMs = this.#clock.now() - startMs;
      this.#totals = { ...this.#totals, [total]: this.#totals[total] + tookMs };
    }
  }
}
