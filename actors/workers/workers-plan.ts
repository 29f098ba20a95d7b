import type { DeltaCodec } from '../exchange/tensor-delta.ts';

/**
 * How several workers train one replica. Each has its part of the replica's batch (`batch` examples or lanes), so
 * together they train on `count` times as many.
 *
 * `synchronous`: one update for the mean of `count` workers' gradients; of `backups` more the slowest are dropped
 * (Chen et al. 2016). `asynchronous`: one update for each worker's gradients, of weights that may have moved on
 * (Dean et al. 2012). `local`: each worker takes `localSteps` steps by itself; the mean of what they changed is
 * the gradient of an outer step with Nesterov momentum (DiLoCo, Douillard et al. 2023).
 */
export type WorkersPlan = {
  /** 1: the replica's Trainer does all by itself, but for the outer step of `local`. */
  readonly count: number;
  /** How what they give is coded; what a lossy codec leaves out is added to the next. */
  readonly codec: DeltaCodec;
} & (
  | { readonly mode: 'synchronous'; readonly backups: number }
  | { readonly mode: 'asynchronous' }
  | {
      readonly mode: 'local';
      readonly localSteps: number;
      readonly outerLearningRate: number;
      readonly outerMomentum: number;
    }
);

export type WorkersMode = WorkersPlan['mode'];
export const workersModes: readonly WorkersMode[] = ['synchronous', 'asynchronous', 'local'];

/** Whether a ParameterServer takes the updates: of several workers, and the outer ones of a single local worker. */
export function hasServer(plan: WorkersPlan): boolean {
  return trainersOf(plan) > 1 || plan.mode === 'local';
}

/**
 * Whether a worker tells of its replica's steps: the first speaks for all, but with backups an update may go on without
 * it, and then each one tells of the updates that it took part in.
 */
export function tellsOfSteps(plan: WorkersPlan | undefined, worker: number): boolean {
  return worker === 0 || (plan?.mode === 'synchronous' && plan.backups > 0);
}

/** The Trainers of a replica, those included that an update doesn't wait for. */
export function trainersOf(plan: WorkersPlan): number {
  return plan.count + (plan.mode === 'synchronous' ? plan.backups : 0);
}
