import {
  type CompiledStep,
  compileStep,
  createState,
  type EngineName,
  type StateStore,
} from '../../compiler/index.ts';
import { DamagedDataError } from '../../errors.ts';
import { type ActorContext, type ActorDefinition, defineActor } from '../../runtime/index.ts';
import {
  createModel,
  createUpdateStep,
  initialTrainingState,
  type LearningRateSchedule,
  learningRateAt,
  type Model,
  type ModelConfig,
  type UpdateConfig,
} from '../../training/index.ts';
import { CheckpointSaver } from '../checkpoint-saver.ts';
import { readState, type StateCopy, writeState } from '../exchange/state-copy.ts';
import type { Weights } from '../exchange/weight-delta.ts';
import { decodeGradients } from './gradient-coding.ts';
import {
  type Contribution,
  type ContributionAnswer,
  type GradientReceiver,
  gradientReceiver,
  type Update,
} from './gradient-receiver.ts';
import { GradientRound, type MeanShare, type Share } from './gradient-round.ts';

export interface ParameterServerOptions extends UpdateConfig {
  readonly replica: string;
  readonly model: ModelConfig;
  /** Of the first weights: its workers begin with the same. */
  readonly seed: number;
  /** By the workers' own steps. */
  readonly schedule: LearningRateSchedule;
  /** Workers that give gradients. */
  readonly workers: number;
  /** How many of them an update waits for; 1 with `asynchronous`. */
  readonly quorum: number;
  /** Whether gradients of an older version count. */
  readonly asynchronous: boolean;
  /** Updates between two checkpoints. */
  readonly checkpointIntervalSteps: number;
  readonly engine: EngineName | 'auto';
  readonly threads: number;
}

interface ServerCheckpoint {
  readonly version: number;
  readonly statistics: Weights;
  readonly state: StateCopy;
  readonly carried: readonly (readonly [worker: number, carried: StateCopy])[];
}

/**
 * Owns the weights of a replica that several workers train (a parameter server with a quorum, Chen et al. 2016,
 * algorithms 3 and 4): takes their gradients, updates, and gives everyone the new weights.
 */
export class ParameterServer implements GradientReceiver {
  readonly #context: ActorContext;
  readonly #options: ParameterServerOptions;
  readonly #model: Model;
  readonly #state: StateStore;
  #statistics: Weights;
  #compiled: CompiledStep | undefined;
  #version = 0;
  #round: GradientRound;
  /** Ends with the round. */
  #outcome: PromiseWithResolvers<ContributionAnswer>;
  /** Of the workers that took part in the update that led to `#version`. */
  #carried: ReadonlyMap<number, StateCopy> = new Map();
  /** What that update showed; undefined before the first of this life. */
  #latestMeasures: Share['measures'] | undefined;
  /** Workers that have left for a while. */
  readonly #away = new Set<number>();
  #draining = false;
  #working: Promise<unknown> = Promise.resolve();
  #saver: CheckpointSaver;

  constructor(context: ActorContext, options: ParameterServerOptions) {
    this.#context = context;
    this.#options = options;
    this.#model = createModel(options.model);
    const step = { ...options, model: this.#model };
    this.#state = createState(createUpdateStep(step).state);
    this.#statistics = {};
    const first = initialTrainingState(step, options.seed);
    for (const [name, values] of Object.entries(first)) {
      if (name in this.#state.specs) this.#state.read(name).set(values);
      else this.#statistics = { ...this.#statistics, [name.slice('student/'.length)]: values };
    }
    this.#round = new GradientRound(options.quorum);
    this.#outcome = Promise.withResolvers();
    this.#saver = this.#openSaver();
  }

  /** A worker begins, or is back: where the replica is now. */
  join(worker: number): Update {
    this.#checkWorker(worker);
    this.#away.delete(worker);
    return this.#currentFor(worker);
  }

  /** A worker stops for a while. Updates that need it wait. */
  leave(worker: number): void {
    this.#checkWorker(worker);
    this.#away.add(worker);
    if (this.#blocked) this.#pause();
  }

  /**
   * Takes part in the next update and waits for it. Gradients of a version that has passed are dropped (the worker
   * was too slow, or the server went back to a checkpoint) unless the replica is asynchronous.
   * @throws DamagedDataError for gradients that don't fit the model; what a checkpoint failed of.
   */
  async contribute(contribution: Contribution): Promise<ContributionAnswer> {
    const { worker, version, step } = contribution;
    this.#checkWorker(worker);
    this.#saver.throwFailure();
    const share = this.#shareOf(contribution);
    for (const each of share.workers) this.#away.delete(each);
    if (this.#options.asynchronous) return await this.#update(share, step);
    if (version !== this.#version) {
      const latestMeasures = this.#latestMeasures;
      return { ...this.#currentFor(worker), ...(latestMeasures && { latestMeasures }) };
    }
    if (this.#blocked) return { status: 'paused' };
    const { promise } = this.#outcome;
    if (!this.#round.complete) {
      this.#round.add(share);
      if (this.#round.complete) {
        const { carried } = this.#round;
        this.#update(this.#round.mean(), step, carried).then(
          (update) => this.#endRound(update),
          (error: unknown) => this.#outcome.reject(error),
        );
      }
    }
    return await promise;
  }

  /** No update follows: who waits is told. */
  drain(): void {
    this.#draining = true;
    this.#pause();
  }

  checkpoint(): Promise<ServerCheckpoint> {
    return this.#exclusively(async () => ({
      version: this.#version,
      statistics: this.#statistics,
      carried: [...this.#carried],
      state: await readState(this.#state, Object.keys(this.#state.specs)),
    }));
  }

  restore(checkpoint: ServerCheckpoint): void {
    writeState(
      this.#state,
      Object.keys(this.#state.specs),
      checkpoint.state,
      this.#options.replica,
    );
    this.#statistics = checkpoint.statistics;
    this.#version = checkpoint.version;
    this.#carried = new Map(checkpoint.carried);
    this.#saver = this.#openSaver();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#exclusively(async () => await this.#compiled?.dispose());
    this.#state.dispose();
  }

  get #blocked(): boolean {
    const { workers, quorum } = this.#options;
    return this.#draining || workers - this.#away.size < quorum;
  }

  /** A round that is complete counts: its update is under way. */
  #pause(): void {
    if (!this.#round.complete) this.#endRound({ status: 'paused' });
  }

  #endRound(answer: ContributionAnswer): void {
    this.#outcome.resolve(answer);
    this.#outcome = Promise.withResolvers();
    this.#round = new GradientRound(this.#options.quorum);
  }

  #update(
    share: MeanShare,
    step: number,
    carried: ReadonlyMap<number, StateCopy> = new Map(),
  ): Promise<Update> {
    return this.#exclusively(async () => {
      this.#compiled ??= await this.#compile();
      const inputs: Record<string, Float32Array> = {
        learningRate: Float32Array.of(learningRateAt(this.#options.schedule, step)),
      };
      for (const [name, values] of Object.entries(share.gradients)) {
        inputs[`gradient/${name}`] = values;
      }
      const outputs = await this.#compiled.run(inputs);
      this.#version++;
      this.#statistics = share.statistics;
      this.#carried = carried;
      await this.#state.toHost(this.#parameterNames());
      this.#saver.saveIfDue(this.#version);
      const gradientNorm = outputs.gradientNorm?.[0] ?? Number.NaN;
      this.#latestMeasures = { ...share.measures, gradientNorm };
      return { ...this.#current(), measures: this.#latestMeasures };
    });
  }

  async #compile(): Promise<CompiledStep> {
    const { step, inputs } = createUpdateStep({ ...this.#options, model: this.#model });
    const { engine, threads } = this.#options;
    return await compileStep(step, { state: this.#state, inputs, engine, threads });
  }

  #current(): Update {
    const weights: Record<string, Float32Array> = { ...this.#statistics };
    for (const name of Object.keys(this.#model.parameters)) {
      weights[name] = this.#state.read(`student/${name}`).slice() as Float32Array;
    }
    return { status: 'updated', version: this.#version, weights };
  }

  #currentFor(worker: number): Update {
    const carried = this.#carried.get(worker);
    return { ...this.#current(), ...(carried && { carried }) };
  }

  #parameterNames(): readonly string[] {
    return Object.keys(this.#model.parameters).map((name) => `student/${name}`);
  }

  #shareOf({ worker, gradients, statistics, measures, carried, branch }: Contribution): Share {
    for (const each of branch?.workers ?? []) this.#checkWorker(each);
    for (const [name, shape] of Object.entries(this.#model.statistics)) {
      const length = shape.reduce((product, size) => product * size, 1);
      if (statistics[name]?.length === length) continue;
      throw new DamagedDataError(
        `a contribution has ${statistics[name]?.length ?? 'no'} values of ${name}, expected ${length}`,
      );
    }
    return {
      workers: branch?.workers ?? [worker],
      gradients: decodeGradients(gradients, this.#model.parameters),
      statistics,
      measures,
      carried: new Map(branch?.carried ?? (carried && [[worker, carried]]) ?? []),
    };
  }

  #checkWorker(worker: number): void {
    const { replica, workers } = this.#options;
    if (Number.isInteger(worker) && worker >= 0 && worker < workers) return;
    throw new RangeError(`${replica} has workers 0 to ${workers - 1}, got ${worker}`);
  }

  #openSaver(): CheckpointSaver {
    return new CheckpointSaver({
      save: () => this.#context.saveCheckpoint(),
      intervalSteps: this.#options.checkpointIntervalSteps,
      savedAt: this.#version,
    });
  }

  /** One after the other: an update and a look at the state exclude each other. */
  #exclusively<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#working.then(work);
    this.#working = result.catch(() => {});
    return result;
  }
}

export const parameterServer: ActorDefinition<ParameterServerOptions, ParameterServer> =
  defineActor({
    type: 'codistill/parameter-server',
    module: import.meta.url,
    ...gradientReceiver,
    create: (context, options: ParameterServerOptions) => new ParameterServer(context, options),
  });
