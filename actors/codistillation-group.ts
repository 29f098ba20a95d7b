import { join } from 'node:path';
import { predictionsFile } from '../datasets/index.ts';
import { type Handle, type JobContext, systemClock, withCallOptions } from '../runtime/index.ts';
import { type ClassificationScores, createModel, type Model } from '../training/index.ts';
import { EvaluationQueue, type Versions } from './evaluation-queue.ts';
import { type Evaluation, type Evaluator, evaluator } from './evaluator.ts';
import { writeGroupFile } from './group-file.ts';
import type { GroupPlan, ReplicaPlan } from './group-plan.ts';
import { planWarnings } from './plan/plan-warnings.ts';
import { type Replica, spawnReplicas } from './replica.ts';
import { isPassing, messageOf, retry } from './retry.ts';
import type { Trainer, TrainingSummary } from './trainer.ts';
import type { StepReport } from './training-totals.ts';
import { tellsOfSteps } from './workers/workers-plan.ts';

/**
 * The actors of one job: for each replica a DataShard, a TeacherSnapshot and a Trainer, and one Evaluator for all.
 * Data and evaluation stay on the host that has the corpus; trainers spread over the nodes.
 */
export class CodistillationGroup {
  readonly #context: JobContext<unknown>;
  readonly #plan: GroupPlan;
  readonly #replicas: readonly Replica[];
  readonly #steps: number[];
  /** Of each replica the worker that told of its last step. */
  readonly #tellers: number[];
  /** Of each replica, by its workers. */
  readonly #bytesExchanged: readonly Map<number, number>[];
  readonly #evaluations: EvaluationQueue;
  #firstStepMs: number | undefined;
  #evaluator: Promise<Handle<Evaluator>> | undefined;

  private constructor(context: JobContext<unknown>, plan: GroupPlan, replicas: readonly Replica[]) {
    this.#context = context;
    this.#plan = plan;
    this.#replicas = replicas;
    this.#steps = replicas.map(() => 0);
    this.#tellers = replicas.map(() => 0);
    this.#bytesExchanged = replicas.map(() => new Map());
    this.#evaluations = this.#openEvaluations();
  }

  /** Spawns the actors; on `context.resumed` they go on from their checkpoints. */
  static async spawn(context: JobContext<unknown>, plan: GroupPlan): Promise<CodistillationGroup> {
    if (!context.resumed) {
      for (const message of planWarnings(plan)) context.emit({ type: 'warning', message });
    }
    await writeGroupFile(context.runDirectory, plan);
    return new CodistillationGroup(context, plan, await spawnReplicas(context, plan));
  }

  /**
   * Trains all replicas to the last step. When `context.signal` aborts, every actor finishes what it has in hand and
   * is checkpointed. @throws the signal's reason then.
   */
  async train(): Promise<void> {
    const { signal, system } = this.#context;
    const aborted = Promise.withResolvers<never>();
    const onAbort = (): void => aborted.reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      signal.throwIfAborted();
      await Promise.race([this.#followAll(), aborted.promise]);
      await this.#evaluations.settled();
    } catch (error) {
      await system.drain({ timeoutMs: DRAIN_TIMEOUT_MS });
      throw error;
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  /**
   * Scores the replicas' final weights and sums up the run, as the last event of the job; `baselines` are what
   * the data alone says, such as the loss of its frequencies.
   */
  async emitResult(baselines: Readonly<Record<string, number>> = {}): Promise<void> {
    const { emit, runDirectory, now } = this.#context;
    const trainers = this.#replicas.map((replica) => replica.trainer);
    const path = join(runDirectory, predictionsFile);
    const final = await this.#evaluate(
      this.#plan.savesPredictions ? { predictionsPath: path } : undefined,
    );
    if (final === null) throw new Error('a trainer has no weights at the end of training');
    const summaries = await Promise.all(trainers.map((handle) => handle.summary()));
    const others = await Promise.all(
      this.#replicas.flatMap((replica) => replica.others.map((other) => other.summary())),
    );
    const all = [...summaries, ...others];
    const steps = this.#stepsMax;
    emit({ type: 'evaluation', step: steps, ...final });
    emit({
      type: 'result',
      run: runDirectory,
      steps,
      [this.#unit]: sum(all, ({ totals }) => totals.rows),
      wallMs: now(),
      firstStepMs: this.#firstStepMs ?? null,
      ...baselines,
      replicas: this.#replicas.map(({ name }, index) =>
        this.#replicaResult(
          name,
          final.losses[index] as number,
          summaries[index] as TrainingSummary,
          final.scores?.replicas[index],
        ),
      ),
      ensembleLoss: final.ensembleLoss,
      ...(final.scores && {
        ensembleAccuracy: final.scores.ensemble.accuracy,
        ensembleAuc: final.scores.ensemble.auc,
      }),
      disagreement: final.disagreement,
      evaluations: this.#evaluations.totals,
      exchange: {
        count: sum(summaries, ({ published }) => published.count),
        bytes: sum(summaries, ({ published }) => published.bytes),
        workersBytes: sum(all, ({ totals }) => totals.workersBytes),
        predictionsBytes: sum(all, ({ totals }) => totals.predictionsBytes),
        fullBytes: sum(summaries, ({ published, weightsBytes }) => published.count * weightsBytes),
      },
      waits: {
        dataMs: sum(summaries, ({ totals }) => totals.dataMs),
        exchangeMs: sum(summaries, ({ totals }) => totals.exchangeMs),
        computeMs: sum(summaries, ({ totals }) => totals.computeMs),
      },
      report: join(runDirectory, 'report.html'),
    });
  }

  /** With the exchange mode `final` a student begins when its teachers have ended. */
  async #followAll(): Promise<void> {
    const { replicas, exchangeMode } = this.#plan;
    const ends: Promise<void>[] = [];
    const follow = async (index: number): Promise<void> => {
      if (exchangeMode === 'final') {
        const teachers = (replicas[index] as ReplicaPlan).teachers;
        await Promise.all(teachers.map((teacher) => started(teacher)));
      }
      const { name, trainer, others } = this.#replicas[index] as Replica;
      const { workers } = replicas[index] as ReplicaPlan;
      await Promise.all(
        [trainer, ...others].map((handle, worker) =>
          tellsOfSteps(workers, worker)
            ? this.#follow(name, handle, (report) => this.#heard(index, { worker, report }))
            : this.#follow(name, handle),
        ),
      );
    };
    const started = (index: number): Promise<void> => {
      ends[index] ??= follow(index);
      return ends[index];
    };
    await Promise.all(replicas.map((_, index) => started(index)));
  }

  /** Keeps one Trainer going, through its restarts. */
  async #follow(
    name: string,
    trainer: Handle<Trainer>,
    onReport?: (report: StepReport) => void,
  ): Promise<void> {
    const handle = withCallOptions(trainer, { timeoutMs: STEP_TIMEOUT_MS });
    const { signal } = this.#context;
    let seen = 0;
    let finished = false;
    while (!finished) {
      const before = seen;
      const readReports = async (): Promise<void> => {
        try {
          for await (const report of handle.train(seen)) {
            seen = report.step;
            onReport?.(report);
          }
          finished = true;
        } catch (error) {
          // What gave something is worth another try at once; what gave nothing is up to `retry`.
          if (seen === before || !isPassing(error)) throw error;
        }
      };
      await retry(readReports, {
        what: `follow the training of ${name}`,
        patienceMs: this.#plan.patienceMs,
        isPassing,
        clock: systemClock,
        signal,
      });
    }
  }

  /** Several workers may tell of a step: the first one counts, and has the weights of that step. */
  #heard(
    index: number,
    { worker, report }: { readonly worker: number; readonly report: StepReport },
  ): void {
    const bytes = this.#bytesExchanged[index] as Map<number, number>;
    bytes.set(worker, report.bytesExchanged);
    if (report.step <= (this.#steps[index] as number)) return;
    this.#steps[index] = report.step;
    this.#tellers[index] = worker;
    this.#emitStep(index, { ...report, bytesExchanged: sum([...bytes.values()], (each) => each) });
  }

  #emitStep(index: number, report: StepReport): void {
    const { emit, now } = this.#context;
    this.#firstStepMs ??= now();
    const { rowsPerSecond, ...rest } = report;
    const speed = { [`${this.#unit}PerSecond`]: rowsPerSecond };
    const { steps, name: replica } = this.#plan.replicas[index] as ReplicaPlan;
    emit({ type: 'step', replica, steps, elapsedMs: now(), ...rest, ...speed });
    const slowest = this.#stepOfSlowest();
    if (slowest > 0) this.#evaluations.reached(slowest);
  }

  #openEvaluations(): EvaluationQueue {
    const { emit, signal } = this.#context;
    const warn = (message: string): void => emit({ type: 'warning', message });
    return new EvaluationQueue({
      intervalSteps: this.#plan.evaluationIntervalSteps,
      versionsAt: (step) => this.#replicas.map((_, index) => this.#versionAt(index, step)),
      evaluate: (versions) => this.#evaluate({ versions }),
      onEvaluation: (evaluation) =>
        emit({ type: 'evaluation', step: Math.min(...evaluation.versions), ...evaluation }),
      onFailure: (step, error) => {
        // A run that is being stopped takes its evaluations along, and has said why.
        if (!signal.aborted) warn(`the evaluation of step ${step} failed: ${messageOf(error)}`);
      },
      onFirstSkip: (step) =>
        warn(
          `the evaluation of step ${step} is left out, as evaluations take longer than training; the result counts ` +
            'all that are. Choose fewer evaluation.batches or a larger evaluation.intervalSteps.',
        ),
    });
  }

  /** The weights of a replica that belong to a step of those that train: the final ones once it has ended. */
  #versionAt(index: number, step: number): number | null {
    const { replicas, exchangeMode } = this.#plan;
    const { steps } = replicas[index] as ReplicaPlan;
    const done = this.#steps[index] as number;
    const trains = exchangeMode !== 'final' || (done > 0 && done < steps);
    return trains && step < steps ? step : null;
  }

  /** Of the replicas that train; 0 when none does. */
  #stepOfSlowest(): number {
    const { replicas, exchangeMode } = this.#plan;
    const training = this.#steps.filter(
      (step, index) =>
        step < (replicas[index] as ReplicaPlan).steps && (step > 0 || exchangeMode !== 'final'),
    );
    return training.length === 0 ? 0 : Math.min(...training);
  }

  async #evaluate(options?: {
    readonly versions?: Versions;
    readonly predictionsPath?: string;
  }): Promise<Evaluation | null> {
    this.#evaluator ??= this.#spawnEvaluator().catch((error: unknown) => {
      this.#evaluator = undefined;
      throw error;
    });
    const handle = await this.#evaluator;
    return await withCallOptions(handle, { timeoutMs: EVALUATION_TIMEOUT_MS }).evaluate(
      this.#replicas.map(({ trainer, others }, index) => {
        const all = [trainer, ...others];
        const teller = this.#tellers[index] as number;
        return [...all.slice(teller), ...all.slice(0, teller)];
      }),
      options,
    );
  }

  #replicaResult(
    name: string,
    valLoss: number,
    { totals, weightsSha256 }: TrainingSummary,
    scores: ClassificationScores | undefined,
  ): Readonly<Record<string, string | number | null>> {
    const workMs = totals.dataMs + totals.exchangeMs + totals.computeMs;
    return {
      name,
      valLoss,
      ...(this.#unit === 'tokens' && { perplexity: Math.exp(valLoss) }),
      ...(scores && { accuracy: scores.accuracy, auc: scores.auc }),
      [`${this.#unit}PerSecond`]: (totals.rows * 1000) / Math.max(workMs, 1),
      stalenessStepsMean: totals.stalenessStepsSum / Math.max(totals.teacherSteps, 1),
      stalenessStepsMax: totals.stalenessStepsMax,
      weightsSha256,
    };
  }

  get #stepsMax(): number {
    return Math.max(...this.#plan.replicas.map(({ steps }) => steps));
  }

  /** What a row is. */
  get #unit(): Model['unit'] {
    return createModel((this.#plan.replicas[0] as GroupPlan['replicas'][number]).model).unit;
  }

  /** When it is first needed: its start would put off the first step. */
  #spawnEvaluator(): Promise<Handle<Evaluator>> {
    const { system } = this.#context;
    const { replicas, heldOut, evaluationBatch, evaluationBatches } = this.#plan;
    const { engine, threads, restartsMax } = this.#plan;
    return system.spawn(
      evaluator,
      {
        models: replicas.map(({ model }) => model),
        source: heldOut,
        batch: evaluationBatch,
        batchesMax: evaluationBatches,
        engine,
        threads,
      },
      {
        name: 'evaluator',
        placement: { nodeId: system.nodeId },
        maxRestarts: restartsMax,
        // Trainers come first: it takes what they leave of the processors.
        niceness: 10,
      },
    );
  }
}

/** Of the 5 s in which Ctrl-C ends a run. */
const DRAIN_TIMEOUT_MS = 4_000;
/** The longest that one step, its compilation and its wait for a peer may take together. */
const STEP_TIMEOUT_MS = 600_000;
/** An evaluation runs at the lowest priority beside training. */
const EVALUATION_TIMEOUT_MS = 600_000;

function sum<T>(items: readonly T[], value: (item: T) => number): number {
  return items.reduce((total, item) => total + value(item), 0);
}
