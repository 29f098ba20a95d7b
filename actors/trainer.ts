import { setImmediate } from 'node:timers/promises';
import {
  type CompiledStep,
  compileStep,
  createState,
  type EngineName,
  type StateStore,
} from '../compiler/index.ts';
import { DamagedDataError } from '../errors.ts';
import {
  type ActorContext,
  type ActorDefinition,
  defineActor,
  delay,
  type Handle,
} from '../runtime/index.ts';
import {
  type AdamConfig,
  createTrainingStep,
  initialiseParameters,
  isTeacherWeight,
  type LanguageModelConfig,
  type LearningRateSchedule,
  languageModelParameters,
  learningRateAt,
  teacherMatrices,
} from '../training/index.ts';
import type { DataShard } from './data-shard.ts';
import { StepReports } from './step-reports.ts';
import type { TeacherSnapshot } from './teacher-snapshot.ts';
import type { DeltaCodec } from './tensor-delta.ts';
import { addStaleness, noTotals, type StepReport, type TrainingTotals } from './training-totals.ts';
import {
  copyWeights,
  DeltaEncoder,
  type VersionedWeights,
  type WeightShapes,
  type Weights,
  weightsBytes,
  weightsSha256,
} from './weight-delta.ts';
import { type ExchangeMode, type ExchangeState, WeightExchange } from './weight-exchange.ts';
import type { PublishedTotals } from './weight-publisher.ts';
import { WindowReader } from './window-reader.ts';

const SERVE_MS_MIN = 5;
const SERVE_SHARE = 0.1;

/** How teachers compute: `int8` takes about half the time where the engine has such products. */
export type TeacherPrecision = 'f32' | 'int8';
export const teacherPrecisions: readonly TeacherPrecision[] = ['f32', 'int8'];

/** One of the other replicas, as this student meets it. */
export interface Teacher {
  readonly replica: string;
  readonly model: LanguageModelConfig;
  readonly snapshot: Handle<TeacherSnapshot>;
}

export interface TrainerOptions {
  readonly replica: string;
  readonly seed: number;
  readonly model: LanguageModelConfig;
  readonly batch: number;
  readonly time: number;
  readonly steps: number;
  readonly optimizer: AdamConfig;
  readonly schedule: LearningRateSchedule;
  readonly clipNorm: number;
  readonly distillWeight: number;
  readonly teacherPrecision: TeacherPrecision;
  /** Steps after which a lane of text forgets its recurrent state; 0: never. */
  readonly restartIntervalSteps: number;
  /** Steps before the first one that may have teachers. */
  readonly burnInSteps: number;
  readonly exchangeMode: ExchangeMode;
  readonly exchangeIntervalSteps: number;
  readonly codec: DeltaCodec;
  readonly checkpointIntervalSteps: number;
  readonly engine: EngineName | 'auto';
  readonly threads: number;
  /** Windows read ahead at most. */
  readonly prefetchWindows: number;
  readonly data: Handle<DataShard>;
  /** Where this replica publishes. */
  readonly snapshot: Handle<TeacherSnapshot>;
  readonly teachers: readonly Teacher[];
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
  /** Weights, moments and recurrent states by their name in the compiled step. */
  readonly state: Readonly<Record<string, Float32Array>>;
}

/**
 * Runs one replica: compiled step after compiled step on its own shard, with an exchange of weights in between.
 * The algorithm is that of Anil et al. 2018, section 2 (algorithm 1).
 */
export class Trainer {
  readonly #context: ActorContext;
  readonly #options: TrainerOptions;
  readonly #state: StateStore;
  readonly #shapes: WeightShapes;
  readonly #reports = new StepReports();
  readonly #stop = new AbortController();
  #encoder: DeltaEncoder;
  #exchangeState: ExchangeState;
  #exchange: WeightExchange | undefined;
  #compiled: { readonly teachers: boolean; readonly step: CompiledStep } | undefined;
  #step = 0;
  #checkpointedAt = 0;
  #totals: TrainingTotals = noTotals;
  #saving: Promise<void> | undefined;
  #saveFailure: { readonly error: unknown } | undefined;
  #training: Promise<void> | undefined;
  #draining = false;

  constructor(context: ActorContext, options: TrainerOptions) {
    this.#context = context;
    this.#options = options;
    this.#shapes = languageModelParameters(options.model);
    this.#state = createState(this.#trainingStep(true).state);
    for (const [name, values] of Object.entries(
      initialiseParameters(options.model, options.seed),
    )) {
      this.#state.read(`student/${name}`).set(values);
    }
    this.#encoder = new DeltaEncoder({ codec: options.codec, shapes: this.#shapes });
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
    await this.#weightsToHost();
    return { version: this.#step, weights: copyWeights(this.#studentWeights()) };
  }

  async summary(): Promise<TrainingSummary> {
    await this.#weightsToHost();
    const weights = this.#studentWeights();
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
    this.#stop.abort();
    await this.#training;
  }

  async checkpoint(): Promise<TrainerCheckpoint> {
    await this.#state.toHost();
    const state: Record<string, Float32Array> = {};
    for (const name of Object.keys(this.#state.specs)) {
      if (isTeacherWeight(name)) continue;
      state[name] = this.#state.read(name).slice() as Float32Array;
    }
    return {
      step: this.#step,
      exchange: this.#exchangeNow(),
      encoderBase: this.#encoder.base ?? null,
      totals: this.#totals,
      state,
    };
  }

  restore(checkpoint: TrainerCheckpoint): void {
    for (const name of Object.keys(this.#state.specs)) {
      if (isTeacherWeight(name)) continue;
      const values = checkpoint.state[name];
      const target = this.#state.read(name);
      if (values?.length !== target.length) {
        throw new DamagedDataError(
          `checkpoint of ${this.#options.replica} has ${values?.length ?? 'no'} values for ${name}, ` +
            `the model has ${target.length}: it was written with other model options`,
        );
      }
      target.set(values);
    }
    this.#step = checkpoint.step;
    this.#checkpointedAt = checkpoint.step;
    this.#totals = checkpoint.totals;
    this.#exchangeState = checkpoint.exchange;
    this.#encoder = new DeltaEncoder({
      codec: this.#options.codec,
      shapes: this.#shapes,
      base: checkpoint.encoderBase ?? undefined,
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#training;
    await this.#compiled?.step.dispose();
    this.#state.dispose();
  }

  async #train(): Promise<void> {
    const { data, batch, time, prefetchWindows, patienceMs, steps, exchangeIntervalSteps } =
      this.#options;
    const patience = { clock: this.#context.clock, patienceMs };
    const reader = new WindowReader({
      shard: data,
      batch,
      time,
      // One window a step, so the cursor is the step.
      fromCursor: this.#step,
      windowsMax: prefetchWindows,
      patience,
      signal: this.#stop.signal,
    });
    const exchange = this.#openExchange(patience);
    this.#exchange = exchange;
    try {
      if (this.#step > 0) await exchange.resume();
      while (this.#step < steps && !this.#draining) {
        await this.#timed('exchangeMs', async () => {
          if (this.#step % exchangeIntervalSteps === 0) await this.#weightsToHost();
          await exchange.beforeStep(this.#step, () => this.#studentWeights());
        });
        this.#checkpointIfDue();
        const window = await this.#timed('dataMs', () => reader.next());
        await this.#trainStep(exchange, window);
      }
      if (!this.#draining) await exchange.settled();
      await this.#saving;
      if (!this.#draining) await this.#saveCheckpoint();
    } catch (error) {
      if (!this.#draining) throw error;
    } finally {
      this.#stop.abort();
    }
  }

  async #trainStep(
    exchange: WeightExchange,
    window: { readonly tokens: Int32Array; readonly targets: Int32Array },
  ): Promise<void> {
    const { batch, time, schedule } = this.#options;
    const teaches = exchange.teaches(this.#step);
    const step = await this.#timed('compileMs', () => this.#compiledStep(teaches));
    const startMs = this.#context.clock.now();
    const outputs = await step.run({
      tokens: window.tokens,
      targets: window.targets,
      learningRate: Float32Array.of(learningRateAt(schedule, this.#step)),
    });
    const computeMs = this.#context.clock.now() - startMs;
    const stalenessSteps = teaches ? exchange.stalenessSteps(this.#step) : null;
    this.#totals = {
      ...(stalenessSteps === null ? this.#totals : addStaleness(this.#totals, stalenessSteps)),
      tokens: this.#totals.tokens + batch * time,
      computeMs: this.#totals.computeMs + computeMs,
    };
    this.#step++;
    this.#reports.push({
      step: this.#step,
      loss: scalar(outputs, 'loss'),
      distillLoss: teaches ? scalar(outputs, 'distillLoss') : null,
      gradientNorm: scalar(outputs, 'gradientNorm'),
      stalenessSteps,
      tokensPerSecond: (batch * time * 1000) / Math.max(computeMs, 1e-3),
      bytesExchanged: exchange.state.published.bytes,
    });
    await this.#serveOthers(computeMs);
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
    return this.#saving !== undefined || this.#exchange?.transferring === true;
  }

  #openExchange(patience: {
    readonly clock: ActorContext['clock'];
    readonly patienceMs: number;
  }): WeightExchange {
    const { exchangeMode, exchangeIntervalSteps, burnInSteps, snapshot, teachers } = this.#options;
    return new WeightExchange({
      mode: exchangeMode,
      intervalSteps: exchangeIntervalSteps,
      burnInSteps,
      snapshot,
      teachers: teachers.map((teacher) => teacher.snapshot),
      encoder: this.#encoder,
      load: (teacher, weights) => this.#loadTeacher(teacher, weights),
      patience,
      signal: this.#stop.signal,
      resumed: this.#exchangeState,
    });
  }

  #loadTeacher(teacher: number, weights: Weights): void {
    for (const [name, values] of Object.entries(weights)) {
      this.#state.write(`teacher${teacher}/${name}`, values);
    }
  }

  /** The graph without teachers serves burn-in and is given up at the first step that has them. */
  async #compiledStep(teachers: boolean): Promise<CompiledStep> {
    if (this.#compiled?.teachers === teachers) return this.#compiled.step;
    await this.#compiled?.step.dispose();
    const { step, inputs } = this.#trainingStep(teachers);
    const { engine, threads } = this.#options;
    const compiled = await compileStep(step, {
      state: this.#state,
      inputs,
      engine,
      threads,
      int8Weights:
        this.#options.teacherPrecision === 'int8' ? teacherMatrices(this.#state.specs) : [],
    });
    this.#compiled = { teachers, step: compiled };
    return compiled;
  }

  #trainingStep(teachers: boolean): ReturnType<typeof createTrainingStep> {
    const { model, batch, time, optimizer, clipNorm, distillWeight, restartIntervalSteps } =
      this.#options;
    return createTrainingStep({
      model,
      batch,
      time,
      optimizer,
      clipNorm,
      distillWeight,
      restartIntervalSteps,
      teachers: teachers ? this.#options.teachers.map((teacher) => teacher.model) : [],
    });
  }

  /** Where the engine keeps them on a device. */
  async #weightsToHost(): Promise<void> {
    await this.#state.toHost(Object.keys(this.#shapes).map((name) => `student/${name}`));
  }

  /** Views of the weights, once they are in host memory. */
  #studentWeights(): Weights {
    const weights: Record<string, Float32Array> = {};
    for (const name of Object.keys(this.#shapes)) {
      weights[name] = this.#state.read(`student/${name}`) as Float32Array;
    }
    return weights;
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

function scalar(outputs: Readonly<Record<string, ArrayLike<number>>>, name: string): number {
  return outputs[name]?.[0] ?? Number.NaN;
}
