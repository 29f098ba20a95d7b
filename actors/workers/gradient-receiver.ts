import type { StateCopy } from '../exchange/state-copy.ts';
import type { Weights } from '../exchange/weight-delta.ts';
import type { CodedGradients } from './gradient-coding.ts';

/** Far above the workers of one replica. */
const CONTRIBUTIONS_MAX = 1024;

/** What a worker learned from one batch. */
export interface Contribution {
  /** From 0 on. */
  readonly worker: number;
  /** Of the weights that it began with. */
  readonly version: number;
  /** The worker's own step: it says the learning rate. */
  readonly step: number;
  readonly gradients: CodedGradients;
  readonly statistics: Weights;
  /** Of its batch, by name; the update's are their means. */
  readonly measures: Readonly<Record<string, number>>;
  /** What the worker carries on to its next batch; kept for it in case that it, or the server, restarts. */
  readonly carried?: StateCopy;
  /** Of a mean over several workers, that of `worker` included: all of them, and what each carries. */
  readonly branch?: {
    readonly workers: readonly number[];
    readonly carried: readonly (readonly [worker: number, carried: StateCopy])[];
  };
}

export interface Update {
  readonly status: 'updated';
  /** Updates so far. */
  readonly version: number;
  /** Parameters and statistics. */
  readonly weights: Weights;
  /** Of the update that led here, in which this contribution took part. */
  readonly measures?: Readonly<Record<string, number>>;
  /** Those of the update that led here, for who came too late to take part in it. */
  readonly latestMeasures?: Readonly<Record<string, number>>;
  /** What the worker that is answered carried on from the update that led here, if it took part and joins out of turn. */
  readonly carried?: StateCopy;
}

/** What becomes of a contribution. `paused`: another worker is away, so the same is to be given again later. */
export type ContributionAnswer = Update | { readonly status: 'paused' };

/** Whoever takes what workers give: the replica's server, or a branch before it. */
export interface GradientReceiver {
  join(worker: number): Update | Promise<Update>;
  leave(worker: number): void | Promise<void>;
  contribute(contribution: Contribution): Promise<ContributionAnswer>;
}

/** How the actors that are receivers declare it. */
export const gradientReceiver = {
  // A contribution waits for those of the other workers.
  concurrencyGroups: { contributions: CONTRIBUTIONS_MAX },
  methods: {
    join: 'idempotent',
    leave: 'idempotent',
    contribute: { kind: 'idempotent', group: 'contributions' },
  },
} as const;
