import {
  type ActorContext,
  type ActorDefinition,
  defineActor,
  type Handle,
  withCallOptions,
} from '../../runtime/index.ts';
import { createModel, type ModelConfig, type Shapes } from '../../training/index.ts';
import type { DeltaCodec } from '../exchange/tensor-delta.ts';
import { decodeGradients, GradientEncoder } from './gradient-coding.ts';
import {
  type Contribution,
  type ContributionAnswer,
  type GradientReceiver,
  gradientReceiver,
  type Update,
} from './gradient-receiver.ts';
import { GradientRound } from './gradient-round.ts';
import type { ParameterServer } from './parameter-server.ts';

/** The longest that the slowest worker's step may take, its compilation and restarts included. */
const UPDATE_TIMEOUT_MS = 600_000;

export interface GradientBranchOptions {
  readonly model: ModelConfig;
  /** Those of one host, by their numbers. */
  readonly workers: readonly number[];
  readonly server: Handle<ParameterServer>;
  /** How what it gives to the server is coded. */
  readonly codec: DeltaCodec;
}

/**
 * Takes the gradients of several workers of one host and gives the replica's server their mean (a tree of two levels):
 * between hosts one share travels for all of them. It keeps nothing but what a lossy codec left out, so its death costs
 * no more than that.
 */
export class GradientBranch implements GradientReceiver {
  readonly #options: GradientBranchOptions;
  readonly #server: Handle<ParameterServer>;
  readonly #parameters: Shapes;
  readonly #encoder: GradientEncoder;
  readonly #away = new Set<number>();
  #draining = false;
  #round: GradientRound;
  /** Of the weights that the round's workers began with. */
  #version = -1;
  /** Ends with the round; null: it came to nothing, so each asks the server where to go on. */
  #outcome: PromiseWithResolvers<ContributionAnswer | null>;

  constructor(_context: ActorContext, options: GradientBranchOptions) {
    this.#options = options;
    this.#server = withCallOptions(options.server, { timeoutMs: UPDATE_TIMEOUT_MS });
    this.#parameters = createModel(options.model).parameters;
    this.#encoder = new GradientEncoder({ codec: options.codec, shapes: this.#parameters });
    this.#round = new GradientRound(options.workers.length);
    this.#outcome = Promise.withResolvers();
  }

  async join(worker: number): Promise<Update> {
    this.#away.delete(worker);
    return await this.#server.join(worker);
  }

  async leave(worker: number): Promise<void> {
    this.#away.add(worker);
    if (!this.#round.complete) this.#endRound({ status: 'paused' });
    await this.#server.leave(worker);
  }

  /** Waits for the other workers of the host, then for the server's update. */
  async contribute(contribution: Contribution): Promise<ContributionAnswer> {
    const { worker, version } = contribution;
    this.#away.delete(worker);
    if (this.#draining || this.#away.size > 0) return { status: 'paused' };
    // A worker that follows a server which went back: the round that waits can't come about any more.
    if (version !== this.#version && !this.#round.complete) this.#endRound(null);
    if (this.#round.workers === 0) this.#version = version;
    const { promise } = this.#outcome;
    if (version !== this.#version) {
      // It has heard of an update from the server that is still on its way to the others of this host.
      await promise.catch(() => {});
      return await this.#server.join(worker);
    }
    if (!this.#round.complete) {
      this.#add(contribution);
      if (this.#round.complete) {
        this.#give(contribution).then(
          (answer) => this.#endRound(answer),
          (error: unknown) => this.#failRound(error),
        );
      }
    }
    return (await promise) ?? (await this.#server.join(worker));
  }

  drain(): void {
    this.#draining = true;
    if (!this.#round.complete) this.#endRound({ status: 'paused' });
  }

  #add({ worker, gradients, statistics, measures, carried }: Contribution): void {
    this.#round.add({
      workers: [worker],
      gradients: decodeGradients(gradients, this.#parameters),
      statistics,
      measures,
      carried: new Map(carried && [[worker, carried]]),
    });
  }

  async #give({ version, step }: Contribution): Promise<ContributionAnswer | null> {
    const { workers } = this.#options;
    const { gradients, ...mean } = this.#round.mean();
    const answer = await this.#server.contribute({
      worker: workers[0]!,
      version,
      step,
      ...mean,
      gradients: this.#encoder.encode(gradients),
      branch: { workers, carried: [...this.#round.carried] },
    });
    if (answer.status === 'paused') return answer;
    // Without measures it is no update that they were part of: each has carried on something else.
    if (answer.measures === undefined) return null;
    this.#encoder.accepted();
    return answer;
  }

  #endRound(answer: ContributionAnswer | null): void {
    this.#outcome.resolve(answer);
    this.#beginRound();
  }

  #failRound(error: unknown): void {
    this.#outcome.reject(error);
    this.#beginRound();
  }

  #beginRound(): void {
    this.#outcome = Promise.withResolvers();
    this.#round = new GradientRound(this.#options.workers.length);
  }
}

export const gradientBranch: ActorDefinition<GradientBranchOptions, GradientBranch> = defineActor({
  type: 'codistill/gradient-branch',
  module: import.meta.url,
  ...gradientReceiver,
  create: (context, options: GradientBranchOptions) => new GradientBranch(context, options),
});
